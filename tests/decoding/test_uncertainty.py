"""Uncertainty: entropy a label, the same alone and in a batch; what is far from a dev part."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.decoding.uncertainty import (
    LEAST_UTTERANCES,
    DevStatistics,
    Uncertainty,
    measure_uncertainty,
    quantiles,
)


def test_entropies_and_labels_are_counted() -> None:
    half = math.log(0.5)
    log_probs = torch.tensor([[[half, half, -torch.inf], [-torch.inf, 0, -torch.inf], [0.0, -torch.inf, -torch.inf]]])
    (found,) = measure_uncertainty(log_probs, torch.tensor([3]))
    assert (found.entropy, found.labels) == (pytest.approx(math.log(2)), 1)  # -inf adds nothing


def test_repeated_labels_are_one() -> None:
    path = torch.tensor([1, 1, 0, 1, 2, 2])
    log_probs = torch.full((1, 6, 3), 0.1)
    log_probs[0, torch.arange(6), path] = 0.8
    assert measure_uncertainty(log_probs.log(), torch.tensor([6]))[0].labels == 3


@given(st.lists(st.integers(0, 9), min_size=1, max_size=4), st.integers(0, 1000))
def test_a_row_does_not_depend_on_the_padding(frames: list[int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    batch = (3 * torch.randn(len(frames), max(frames), 4, generator=generator)).log_softmax(2)
    together = measure_uncertainty(batch, torch.tensor(frames))
    for row, count, found in zip(batch, frames, together, strict=True):
        (alone,) = measure_uncertainty(row[None, :count], torch.tensor([count]))
        assert alone.labels == found.labels and alone.entropy == pytest.approx(found.entropy, abs=1e-5)


DEV = DevStatistics.of([Uncertainty(entropy, 50) for entropy in range(40, 61)])


def test_the_dev_part_itself_is_near_and_twice_its_entropy_is_far() -> None:
    assert DEV.uncertainty == pytest.approx(1.0) and DEV.utterances == 21
    assert DEV.uncertainties[0] == 0.8 and DEV.uncertainties[-1] == 1.2
    assert not any(DEV.is_far(Uncertainty(entropy, 50)) for entropy in range(1, 61))
    assert DEV.is_far(Uncertainty(100.0, 50))


def test_few_labels_and_few_dev_utterances_prove_nothing() -> None:
    assert not DEV.is_far(Uncertainty(4.0, 2)) and DEV.is_far(Uncertainty(400.0, 200))
    assert not DEV.is_far(Uncertainty())
    few = DevStatistics.of([Uncertainty(50.0, 50)] * (LEAST_UTTERANCES - 1))
    assert not few.is_far(Uncertainty(1e6, 50))
    assert not DevStatistics.of([]).is_far(Uncertainty(1e6, 50))
    sure = DevStatistics.of([Uncertainty(0.0, 50)] * 20)
    assert not sure.is_far(Uncertainty(0.0, 50)) and sure.is_far(Uncertainty(50.0, 50))


def test_quantiles() -> None:
    assert quantiles([]) == () and quantiles([0.5]) == (0.5,) * 7
    assert quantiles(range(101)) == (0, 5, 25, 50, 75, 95, 100)
