from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.decoding.confidence import Calibration, expected_calibration_error, fit_calibration, word_posteriors
from speechrnn.decoding.hypothesis import ConfidenceFeatures


def test_a_word_is_as_probable_as_the_readings_that_have_it() -> None:
    hypotheses = [["THE", "CAT", "SAT"], ["THE", "CAT"], ["A", "CAT", "SAT"]]
    scores = [math.log(0.5) - 40, math.log(0.3) - 40, math.log(0.2) - 40]  # what is common to all does not count
    assert word_posteriors(hypotheses, scores) == pytest.approx([0.8, 1.0, 0.7])


def test_a_reading_that_is_impossible_says_nothing() -> None:
    assert word_posteriors([["YES"], ["NO"]], [0.0, -math.inf]) == [1.0]
    assert word_posteriors([[]], [0.0]) == []
    for scores in ([-math.inf, -math.inf], [0.0, math.nan], [math.nan, 0.0]):
        with pytest.raises(ValueError, match="finite"):
            word_posteriors([["YES"], ["NO"]], scores)
    with pytest.raises(ValueError, match="finite"):
        Calibration(math.nan, 0.0, 0.0)


def test_a_fit_finds_what_the_words_were_drawn_from() -> None:
    torch.manual_seed(0)
    features = [ConfidenceFeatures(*row) for row in torch.rand(4000, 2).mul(0.98).add(0.01).tolist()]
    truth = Calibration(0.8, 1.5, -0.4)
    right = [bool(torch.rand(()) < truth(*both)) for both in features]
    found = fit_calibration(features, right)
    assert (found.posterior, found.alignment, found.offset) == pytest.approx((0.8, 1.5, -0.4), abs=0.15)
    calibrated = [found(*both) for both in features]
    assert expected_calibration_error(calibrated, right) < 0.03
    assert expected_calibration_error([both.posterior for both in features], right) > 0.1


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20), st.booleans())
def test_a_fit_stays_finite_where_all_words_are_right_or_wrong(
    pairs: list[tuple[float, float]], all_right: bool
) -> None:
    found = fit_calibration([ConfidenceFeatures(*both) for both in pairs], [all_right] * len(pairs))
    assert all(0.0 <= found(*both) <= 1.0 for both in pairs)
    assert max(abs(found.posterior), abs(found.alignment), abs(found.offset)) < 20


def test_without_words_there_is_nothing_to_fit() -> None:
    assert fit_calibration([], []) == Calibration()
    assert fit_calibration([], [], Calibration(0.0, 1.0, 0.0)) == Calibration(0.0, 1.0, 0.0)
    assert expected_calibration_error([], []) == 0.0


def test_the_calibration_error_is_the_mean_gap_of_bins() -> None:
    # 4 words at 0.95, half of them right; 4 at 0.55, all right
    error = expected_calibration_error([0.95] * 4 + [0.55] * 4, [True, True, False, False] + [True] * 4)
    assert error == pytest.approx(0.5 * 0.45 + 0.5 * 0.45)
    assert expected_calibration_error([1.0, 0.0], [True, False]) == 0.0
