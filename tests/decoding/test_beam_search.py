"""Prefix beam search against the sum over all paths, against flashlight-text, and against itself in other batches."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from flashlight.lib.text.decoder import CriterionType, LexiconFreeDecoder, LexiconFreeDecoderOptions, ZeroLM
from helpers.beam_search import EVERYTHING, EXACT, Prefix, TableScorer, all_hypotheses, emissions, peaked, search
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from speechrnn.core.config import build
from speechrnn.core.errors import UserError
from speechrnn.decoding import beam_search as beam
from speechrnn.decoding.beam_search import BeamOptions, beam_search
from speechrnn.decoding.fusion import DecodingOptions
from speechrnn.decoding.scorers.base import WeightedScorer


def flashlight(log_probs: Tensor, beam_size: int) -> float:
    """The best score of flashlight-text's lexicon-free decoder, (frames, symbols), which adds paths up as we do."""
    symbols = log_probs.shape[1]
    options = LexiconFreeDecoderOptions(
        beam_size=beam_size,
        beam_size_token=symbols,
        beam_threshold=1e9,
        lm_weight=0.0,
        sil_score=0.0,
        log_add=True,
        criterion_type=CriterionType.CTC,
    )
    # its silence is a label that does not exist
    decoder = LexiconFreeDecoder(options, ZeroLM(), symbols, 0, [])
    log_probs = log_probs.contiguous()
    return float(decoder.decode(log_probs.data_ptr(), *log_probs.shape)[0].score)


small = st.builds(
    emissions,
    st.just(1),
    st.integers(1, 5),
    st.integers(1, 4),
    seed=st.integers(0, 10**6),
    blank=st.sampled_from([-1.0, 0.0, 2.0]),
    sharp=st.sampled_from([0.5, 2.0]),
)


@settings(max_examples=40)
@given(small)
def test_a_wide_beam_is_the_sum_over_all_paths(log_probs: Tensor) -> None:
    expected = all_hypotheses(log_probs[0])
    (hypotheses,) = search(log_probs, EVERYTHING)
    assert {hypothesis.tokens: hypothesis.score for hypothesis in hypotheses} == pytest.approx(expected, abs=1e-4)
    scores = [hypothesis.score for hypothesis in hypotheses]
    assert scores == sorted(scores, reverse=True)
    assert all(hypothesis.acoustic == hypothesis.score and hypothesis.parts == {} for hypothesis in hypotheses)


@settings(max_examples=25)
@given(small, st.floats(-1.0, 2.0), st.booleans())
def test_so_it_is_with_scorers(log_probs: Tensor, weight: float, forbids: bool) -> None:
    symbols = log_probs.shape[2]
    scorers = [(TableScorer(symbols, 1, forbids and weight > 0), weight), (TableScorer(symbols, 2), 0.5)]
    expected = all_hypotheses(log_probs[0], scorers)
    expected = {labels: score for labels, score in expected.items() if score > -math.inf}
    weighted = [WeightedScorer(scorer, weight, f"table {scorer.seed}") for scorer, weight in scorers]
    (hypotheses,) = search(log_probs, EVERYTHING, weighted)
    assert all(math.isfinite(hypothesis.score) for hypothesis in hypotheses)
    if not expected:
        return
    assert {hypothesis.tokens: hypothesis.score for hypothesis in hypotheses} == pytest.approx(expected, abs=1e-4)
    acoustic = all_hypotheses(log_probs[0])
    for hypothesis in hypotheses:
        assert hypothesis.acoustic == pytest.approx(acoustic[hypothesis.tokens], abs=1e-4)
        parts = {f"table {scorer.seed}": scorer.total(hypothesis.tokens) for scorer, _ in scorers}
        assert hypothesis.parts == pytest.approx(parts, abs=1e-4)
    scores = [hypothesis.score for hypothesis in hypotheses]
    assert scores == sorted(scores, reverse=True)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 12), st.booleans())
def test_a_narrow_beam_keeps_what_an_unhurried_one_does(seed: int, beam_size: int, scored: bool) -> None:
    log_probs = emissions(1, 8, 5, seed=seed)
    scorer = TableScorer(5, seed)
    options = BeamOptions(beam_size=beam_size, nbest=beam_size, **EXACT)
    (hypotheses,) = search(log_probs, options, [WeightedScorer(scorer, 0.7, "table")] if scored else [])
    expected = by_dictionaries(log_probs[0], beam_size, scorer if scored else None, weight=0.7)
    assert {hypothesis.tokens: hypothesis.score for hypothesis in hypotheses} == pytest.approx(expected, abs=1e-4)


def by_dictionaries(
    log_probs: Tensor, beam_size: int, scorer: TableScorer | None, weight: float
) -> dict[Prefix, float]:
    """The search as papers write it down: prefixes are keys, masses are probabilities."""

    def language(labels: Prefix) -> float:
        return weight * (scorer.total(labels) - scorer.row(labels)[-1]) if scorer else 0.0

    def rank(item: tuple[Prefix, list[float]]) -> float:
        return math.log(sum(item[1])) + language(item[0])

    hypotheses: dict[Prefix, list[float]] = {(): [1.0, 0.0]}  # mass that ends in a blank, in the last label
    for row in log_probs.double().exp().tolist():
        grown: dict[Prefix, list[float]] = {}
        for labels, (blank, label) in hypotheses.items():
            grown.setdefault(labels, [0.0, 0.0])[0] += (blank + label) * row[0]
            for symbol in range(1, len(row)):
                if labels and labels[-1] == symbol:
                    grown.setdefault(labels, [0.0, 0.0])[1] += label * row[symbol]
                    mass = blank * row[symbol]
                else:
                    mass = (blank + label) * row[symbol]
                if mass > 0:
                    longer = (*labels, symbol)
                    grown.setdefault(longer, [0.0, 0.0])[1] += mass
        hypotheses = dict(sorted(grown.items(), key=rank, reverse=True)[:beam_size])
    ends = {labels: weight * scorer.row(labels)[-1] if scorer else 0.0 for labels in hypotheses}
    return {labels: rank((labels, masses)) + ends[labels] for labels, masses in hypotheses.items()}


@pytest.mark.parametrize("seed", range(3))
def test_the_best_score_is_flashlights_where_its_beam_holds_all(seed: int) -> None:
    # It keeps paths of a prefix that end in a blank apart from the others in its beam, so that a narrow one holds less.
    log_probs = emissions(1, 7, 4, seed=seed)
    ((best,),) = search(log_probs, BeamOptions(beam_size=1500, **EXACT))
    assert best.score == pytest.approx(flashlight(log_probs[0], 3000), abs=1e-4)


def test_the_best_score_is_flashlights_on_peaked_emissions() -> None:
    path = [0, 0, 3, 0, 0, 7, 7, 0, 7, 0, 12, 5, 0, 0, 1, 0, 28, 28, 0, 0] * 4
    log_probs = peaked(path, 29, label=0.98)
    ((best,),) = search(log_probs[None], BeamOptions(beam_size=300, **EXACT))
    assert best.tokens == tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)
    assert best.score == pytest.approx(flashlight(log_probs, 600), abs=1e-3)


def test_a_narrow_beam_finds_at_least_what_flashlights_does() -> None:
    log_probs = emissions(2, 100, 29, blank=3.0)
    for (best,), row in zip(search(log_probs, BeamOptions(beam_size=10, **EXACT)), log_probs, strict=True):
        assert best.score >= flashlight(row, 10) - 1e-3


@pytest.mark.parametrize("scored", [False, True])
def test_an_utterance_does_not_depend_on_its_batch(scored: bool) -> None:
    frames = [40, 0, 17, 1, 33]
    log_probs = emissions(5, 45, 9, blank=2.0, sharp=2.0)
    log_probs[4, :30, 0] = -1e-4  # which the default thresholds leave out
    options = BeamOptions(beam_size=8, nbest=5)
    scorers = [WeightedScorer(TableScorer(9), 0.4, "table")] if scored else []
    together = search(log_probs, options, scorers, frames=frames)
    for order in ([4, 3, 2, 1, 0], [2, 0, 1, 4, 3], [0], [1], [3], [4]):
        padded = torch.full((len(order), 60, 9), math.nan)
        for place, number in enumerate(order):
            padded[place, : frames[number]] = log_probs[number, : frames[number]]
        again = search(padded, options, scorers, frames=[frames[number] for number in order])
        for number, hypotheses in zip(order, again, strict=True):
            assert [hypothesis.tokens for hypothesis in hypotheses] == [
                hypothesis.tokens for hypothesis in together[number]
            ]
            for candidate, other in zip(hypotheses, together[number], strict=True):
                assert candidate.score == pytest.approx(other.score, abs=1e-5)
                assert candidate.parts == pytest.approx(other.parts, abs=1e-5)


@pytest.mark.parametrize("scored", [False, True])
def test_no_frames_and_one_frame(scored: bool) -> None:
    scorer = TableScorer(3)
    scorers = [WeightedScorer(scorer, 2.0, "table")] if scored else []
    end = 2.0 * scorer.row(())[-1] if scored else 0.0
    ((nothing,),) = search(torch.zeros(1, 0, 3), BeamOptions(), scorers)
    assert (nothing.tokens, nothing.acoustic, nothing.score) == ((), 0.0, pytest.approx(end))
    log_probs = torch.tensor([[[0.1, 0.7, 0.2]]]).log()
    (hypotheses,) = search(log_probs, EVERYTHING, scorers)
    expected = all_hypotheses(log_probs[0], [(scorer, 2.0)] if scored else [])
    assert {hypothesis.tokens: hypothesis.score for hypothesis in hypotheses} == pytest.approx(expected, abs=1e-5)
    assert beam_search(torch.zeros(0, 5, 3), torch.zeros(0, dtype=torch.int64)) == []


def test_impossible_frames_and_symbols() -> None:
    log_probs = emissions(1, 5, 4)
    log_probs[0, 2] = -math.inf  # says nothing
    (hypotheses,) = search(log_probs, EVERYTHING)
    expected = all_hypotheses(log_probs[0, [0, 1, 3, 4]])
    assert {hypothesis.tokens: hypothesis.score for hypothesis in hypotheses} == pytest.approx(expected, abs=1e-4)
    log_probs = emissions(1, 4, 4)
    log_probs[0, 1, 0] = log_probs[0, 2, 2] = log_probs[0, 3, :2] = -math.inf
    (hypotheses,) = search(log_probs, EVERYTHING)
    expected = all_hypotheses(log_probs[0])
    assert {hypothesis.tokens: hypothesis.score for hypothesis in hypotheses} == pytest.approx(expected, abs=1e-4)
    (hypotheses,) = search(torch.full((1, 3, 4), -math.inf), EVERYTHING)
    assert [(hypothesis.tokens, hypothesis.score) for hypothesis in hypotheses] == [((), 0.0)]


class Fixed(TableScorer):
    """Forbids all labels, or all ends, or is damaged."""

    def __init__(self, label: float, end: float) -> None:
        self.values = [0.0, label, label, end]
        super().__init__(3)

    def row(self, prefix: Prefix) -> list[float]:
        return self.values


def test_what_is_forbidden() -> None:
    log_probs = torch.tensor([[[0.2, 0.5, 0.3], [0.1, 0.8, 0.1]]]).log()
    (hypotheses,) = search(log_probs, EVERYTHING, [WeightedScorer(Fixed(-math.inf, -1.0), 0.0, "lexicon")])
    assert [hypothesis.tokens for hypothesis in hypotheses] == [()]
    assert hypotheses[0].score == pytest.approx(math.log(0.02), abs=1e-5)
    # where nothing may end, not even the empty text, it is that, at a finite price
    ((best,),) = search(log_probs, BeamOptions(), [WeightedScorer(Fixed(0.0, -math.inf), 1.0, "lexicon")])
    assert (best.tokens, best.open_word) == ((), (1,)) and best.parts == {"lexicon": beam.FLOOR}
    assert best.acoustic == pytest.approx(math.log(0.5 * 0.8 + 0.5 * 0.1 + 0.2 * 0.8), abs=1e-5)
    assert best.score == pytest.approx(best.acoustic + beam.FLOOR)
    # where a label must be said and none may
    log_probs[0, 0, 0] = -math.inf
    ((best,),) = search(log_probs, BeamOptions(), [WeightedScorer(Fixed(-math.inf, 0.0), 1.0, "lexicon")])
    assert (best.tokens, best.score, best.acoustic) == ((), beam.FLOOR, beam.FLOOR)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nan_is_refused(value: float) -> None:
    log_probs = emissions(3, 4, 5)
    log_probs[1, 3, 2] = value
    search(log_probs, BeamOptions(), frames=[4, 3, 4])  # in the padding it does no harm
    with pytest.raises(UserError, match="utterance 1 of the batch"):
        search(log_probs, BeamOptions())
    for scorer in (Fixed(value, 0.0), Fixed(0.0, value)):
        good = WeightedScorer(TableScorer(3), 1.0, "hot words")
        with pytest.raises(UserError, match="scores of language are NaN"):
            search(emissions(1, 4, 3), BeamOptions(), [good, WeightedScorer(scorer, 1.0, "language")])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: BeamOptions(beam_size=0), "beam_size=0"),
        (lambda: build(BeamOptions, {"beam_size": 0}, "decoding"), "decoding.beam_size=0"),
        (lambda: BeamOptions(beam_size=2.5), "beam_size=2.5"),  # type: ignore[arg-type]
        (lambda: DecodingOptions(beam_size="wide"), "beam_size=wide"),  # type: ignore[arg-type]
        (lambda: DecodingOptions(beam_threshold="none"), "beam_threshold=none"),  # type: ignore[arg-type]
        (lambda: DecodingOptions(blank_threshold=2.0), "blank_threshold=2.0"),
        (lambda: BeamOptions(nbest=0), "nbest=0"),
        (lambda: BeamOptions(blank_threshold=1.5), "blank_threshold=1.5"),
        (lambda: BeamOptions(symbol_threshold=math.nan), "symbol_threshold=nan"),
        (lambda: BeamOptions(beam_threshold=-1.0), "beam_threshold=-1.0"),
        (lambda: WeightedScorer(TableScorer(3), math.nan, "language"), "weight of language"),
        (
            lambda: search(emissions(1, 2, 3), BeamOptions(), [WeightedScorer(TableScorer(3), 1.0, "same")] * 2),
            "same, same",
        ),
    ],
)
def test_wrong_options_are_one_sentence(make: Callable[[], object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        make()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
@pytest.mark.parametrize("scored", [False, True])
def test_a_gpu_finds_the_same(scored: bool) -> None:
    log_probs = emissions(4, 60, 29, blank=2.0)
    frames = torch.tensor([60, 0, 33, 59])
    scorers = [WeightedScorer(TableScorer(29), 0.5, "table")] if scored else []
    options = BeamOptions(beam_size=10, nbest=5)
    here = beam_search(log_probs, frames, scorers, options=options)
    there = beam_search(log_probs.cuda(), frames.cuda(), scorers, options=options)
    for row, other in zip(here, there, strict=True):
        assert [hypothesis.tokens for hypothesis in row] == [hypothesis.tokens for hypothesis in other]
        assert [hypothesis.score for hypothesis in row] == pytest.approx(
            [hypothesis.score for hypothesis in other], abs=1e-3
        )
