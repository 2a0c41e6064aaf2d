"""Prefix beam search against the sum over all paths, against flashlight-text, and against itself in other batches."""

from __future__ import annotations

import itertools
import math
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from flashlight.lib.text.decoder import CriterionType, LexiconFreeDecoder, LexiconFreeDecoderOptions, ZeroLM
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from speechrnn.core.config import build
from speechrnn.core.errors import UserError
from speechrnn.decoding import beam_search as beam
from speechrnn.decoding.beam_search import BeamOptions, Search, beam_search
from speechrnn.decoding.frames import Frames
from speechrnn.decoding.hypothesis import Hypothesis
from speechrnn.decoding.scorers.base import WeightedScorer

EXACT: dict[str, Any] = {"blank_threshold": 1.0, "symbol_threshold": 0.0, "beam_threshold": None}
EVERYTHING = BeamOptions(beam_size=400, nbest=400, **EXACT)  # holds all label sequences of `small` emissions
Prefix = tuple[int, ...]


class TableScorer:
    """Random scores for every prefix, the same ones whenever it is met; notes what it is asked."""

    def __init__(self, symbols: int, seed: int = 0, forbids: bool = False) -> None:
        self.symbols, self.seed, self.forbids = symbols, seed, forbids
        self.begin()

    def begin(self) -> int:
        self.prefixes: list[Prefix] = [()]
        self.extended: Counter[Prefix] = Counter()
        self.scored: Counter[Prefix] = Counter()
        self.calls = 0
        return 0

    def extend(self, states: Tensor, labels: Tensor) -> Tensor:
        new = [(*self.prefixes[state], label) for state, label in zip(states.tolist(), labels.tolist(), strict=True)]
        self.extended.update(new)
        self.prefixes += new
        return torch.arange(len(self.prefixes) - len(new), len(self.prefixes), device=states.device)

    def scores(self, states: Tensor) -> Tensor:
        prefixes = [self.prefixes[state] for state in states.tolist()]
        self.scored.update(prefixes)
        self.calls += 1
        return torch.tensor([self.row(prefix)[:-1] for prefix in prefixes], device=states.device)

    def finish(self, states: Tensor) -> Tensor:
        return torch.tensor([self.row(self.prefixes[state])[-1] for state in states.tolist()], device=states.device)

    def row(self, prefix: Prefix) -> list[float]:
        """Return the scores of each symbol after the prefix, and of the end."""
        generator = torch.Generator().manual_seed(zlib.crc32(repr((self.seed, prefix)).encode()))
        values = torch.randn(self.symbols + 1, generator=generator).double()
        if self.forbids:
            values[(values > 0.8).nonzero()] = -math.inf
        values[0] = 0.0
        return values.tolist()

    def total(self, labels: Prefix) -> float:
        """Return the score of a whole label sequence."""
        steps = sum(self.row(labels[:number])[label] for number, label in enumerate(labels))
        return steps + self.row(labels)[-1]


def emissions(batch: int, frames: int, symbols: int, seed: int = 0, blank: float = 0.0, sharp: float = 1.0) -> Tensor:
    """(batch, frames, symbols) random log-probabilities, in favour of the blank by `blank`."""
    scores = sharp * torch.randn(batch, frames, symbols, generator=torch.Generator().manual_seed(seed))
    scores[:, :, 0] += blank
    return scores.log_softmax(2)


def peaked(path: Sequence[int], symbols: int, peak: float = 0.9995, label: float = 0.8, seed: int = 0) -> Tensor:
    """(frames, symbols) log-probabilities as of a trained model: blanks are nearly sure, labels less so."""
    generator = torch.Generator().manual_seed(seed)
    probabilities = torch.rand(len(path), symbols, generator=generator)
    for frame, symbol in enumerate(path):
        certain = peak if symbol == 0 else label
        probabilities[frame] *= (1 - certain) / (probabilities[frame].sum() - probabilities[frame, symbol])
        probabilities[frame, symbol] = certain
    return probabilities.log()


def all_readings(log_probs: Tensor, scorers: Sequence[tuple[TableScorer, float]] = ()) -> dict[Prefix, float]:
    """The score of each label sequence that the frames can say: the sum over all paths, and the scorers'."""
    frames, symbols = log_probs.shape
    masses: dict[Prefix, float] = {}
    rows = log_probs.double().exp().tolist()
    for path in itertools.product(range(symbols), repeat=frames):
        labels = tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)
        masses[labels] = masses.get(labels, 0.0) + math.prod(
            row[symbol] for row, symbol in zip(rows, path, strict=True)
        )
    return {
        labels: math.log(mass) + sum(weight * scorer.total(labels) for scorer, weight in scorers)
        for labels, mass in masses.items()
        if mass > 0
    }


def search(
    log_probs: Tensor, options: BeamOptions, scorers: Sequence[WeightedScorer] = (), frames: Sequence[int] | None = None
) -> list[list[Hypothesis]]:
    """`beam_search` with all frames, unless they are given."""
    counts = frames or [log_probs.shape[1]] * len(log_probs)
    return beam_search(log_probs, torch.tensor(counts), scorers, options)


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
    expected = all_readings(log_probs[0])
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
    expected = all_readings(log_probs[0], scorers)
    expected = {labels: score for labels, score in expected.items() if score > -math.inf}
    weighted = [WeightedScorer(scorer, weight, f"table {scorer.seed}") for scorer, weight in scorers]
    (hypotheses,) = search(log_probs, EVERYTHING, weighted)
    assert all(math.isfinite(hypothesis.score) for hypothesis in hypotheses)
    if not expected:
        return
    assert {hypothesis.tokens: hypothesis.score for hypothesis in hypotheses} == pytest.approx(expected, abs=1e-4)
    acoustic = all_readings(log_probs[0])
    for hypothesis in hypotheses:
        assert hypothesis.acoustic == pytest.approx(acoustic[hypothesis.tokens], abs=1e-4)
        parts = {f"table {scorer.seed}": scorer.total(hypothesis.tokens) for scorer, _ in scorers}
        assert hypothesis.parts == pytest.approx(parts, abs=1e-4)
    scores = [hypothesis.score for hypothesis in hypotheses]
    assert scores == sorted(scores, reverse=True)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 12), st.booleans())
def test_a_narrow_beam_keeps_what_an_unhurried_one_does(seed: int, beam_size: int, scored: bool) -> None:
    log_probs = emissions(1, 8, 5, seed)
    scorer = TableScorer(5, seed)
    options = BeamOptions(beam_size=beam_size, nbest=beam_size, **EXACT)
    (hypotheses,) = search(log_probs, options, [WeightedScorer(scorer, 0.7, "table")] if scored else [])
    expected = by_dictionaries(log_probs[0], beam_size, scorer if scored else None, 0.7)
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
                    grown.setdefault((*labels, symbol), [0.0, 0.0])[1] += mass
        hypotheses = dict(sorted(grown.items(), key=rank, reverse=True)[:beam_size])
    ends = {labels: weight * scorer.row(labels)[-1] if scorer else 0.0 for labels in hypotheses}
    return {labels: rank((labels, masses)) + ends[labels] for labels, masses in hypotheses.items()}


@pytest.mark.parametrize("seed", range(3))
def test_the_best_score_is_flashlights_where_its_beam_holds_all(seed: int) -> None:
    # It keeps paths of a prefix that end in a blank apart from the others in its beam, so that a narrow one holds less.
    log_probs = emissions(1, 7, 4, seed)
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
    together = search(log_probs, options, scorers, frames)
    for order in ([4, 3, 2, 1, 0], [2, 0, 1, 4, 3], [0], [1], [3], [4]):
        padded = torch.full((len(order), 60, 9), math.nan)
        for place, number in enumerate(order):
            padded[place, : frames[number]] = log_probs[number, : frames[number]]
        again = search(padded, options, scorers, [frames[number] for number in order])
        for number, hypotheses in zip(order, again, strict=True):
            assert [hypothesis.tokens for hypothesis in hypotheses] == [
                hypothesis.tokens for hypothesis in together[number]
            ]
            for candidate, other in zip(hypotheses, together[number], strict=True):
                assert candidate.score == pytest.approx(other.score, abs=1e-5)
                assert candidate.parts == pytest.approx(other.parts, abs=1e-5)


def ordered(log_probs: torch.Tensor, options: BeamOptions) -> Frames:
    """The frames of one utterance, as a search steps through them."""
    search_ = Search(1, log_probs.shape[2], [], options, log_probs.device)
    return search_.order(log_probs, torch.tensor([log_probs.shape[1]]))


@settings(max_examples=25)
@given(st.lists(st.integers(-4, 5), min_size=1, max_size=20), st.integers(0, 10**6))
def test_sure_blanks_may_be_left_out(symbols: list[int], seed: int) -> None:
    path = [max(symbol, 0) for symbol in symbols]  # half of it blanks
    log_probs = peaked(path, 6, peak=0.99995, seed=seed)[None]
    ((exact,),) = search(log_probs, BeamOptions(**EXACT))
    assert len(list(ordered(log_probs, BeamOptions()))) == sum(symbol > 0 for symbol in path)
    ((best,),) = search(log_probs, BeamOptions())
    assert best.tokens == exact.tokens
    assert best.score == pytest.approx(exact.score, abs=0.01)


def test_a_sure_blank_between_two_equal_labels_makes_them_two() -> None:
    sure = torch.tensor([1 - 2e-6, 1e-6, 1e-6]).log()
    label = torch.tensor([0.05, 0.9, 0.05]).log()
    for rows, tokens in (([label, label], (1,)), ([label, sure, label], (1, 1)), ([sure, label, sure, sure], (1,))):
        log_probs = torch.stack(rows)[None]
        ((best,),) = search(log_probs, BeamOptions())
        assert best.tokens == tokens
        ((exact,),) = search(log_probs, BeamOptions(**EXACT))
        assert best.score == pytest.approx(exact.score, abs=1e-4)


def test_a_threshold_of_1_leaves_out_no_frame() -> None:
    log_probs = torch.full((1, 3, 3), -20.0)
    log_probs[:, :, 0] = 0.0  # float32's probability of 1
    assert len(list(ordered(log_probs, BeamOptions(**EXACT)))) == 3
    assert not list(ordered(log_probs, BeamOptions()))
    ((best,),) = search(log_probs, BeamOptions())
    assert (best.tokens, best.score) == ((), pytest.approx(0.0))


def test_unlikely_symbols_are_not_tried() -> None:
    log_probs = torch.tensor([[[0.6, 0.399, 0.001]]]).log()
    (found,) = search(log_probs, BeamOptions(symbol_threshold=0.01, nbest=9))
    assert [hypothesis.tokens for hypothesis in found] == [(), (1,)]
    (found,) = search(log_probs, BeamOptions(symbol_threshold=0.0, nbest=9))
    assert [hypothesis.tokens for hypothesis in found] == [(), (1,), (2,)]


def test_hypotheses_far_behind_are_dropped_and_not_scored() -> None:
    log_probs = emissions(1, 12, 5, sharp=4.0)
    asked = []
    for threshold in (None, 3.0):
        scorer = TableScorer(5)
        options = BeamOptions(beam_size=20, nbest=20, **{**EXACT, "beam_threshold": threshold})
        (found,) = search(log_probs, options, [WeightedScorer(scorer, 0.5, "table")])
        asked.append(len(scorer.scored))
        before_the_end = [hypothesis.acoustic + 0.5 * scorer.total(hypothesis.tokens) for hypothesis in found]
        best = found[0].tokens
    assert asked[1] < 0.7 * asked[0]
    ends = {hypothesis.tokens: 0.5 * scorer.row(hypothesis.tokens)[-1] for hypothesis in found}
    so_far = [score - ends[hypothesis.tokens] for score, hypothesis in zip(before_the_end, found, strict=True)]
    assert max(so_far) - min(so_far) <= 3.0
    assert (
        best
        == search(log_probs, BeamOptions(beam_size=20, **EXACT), [WeightedScorer(scorer, 0.5, "table")])[0][0].tokens
    )


def test_a_prefix_is_asked_for_once_and_all_of_a_frame_together() -> None:
    scorer = TableScorer(6)
    log_probs = emissions(3, 30, 6, blank=1.0)
    search(log_probs, BeamOptions(beam_size=5, **EXACT), [WeightedScorer(scorer, 0.5, "table")])
    # each of the three utterances may come to the same prefix; the empty one is asked for once for all
    assert max(scorer.extended.values()) <= 3 and max(scorer.scored.values()) <= 3
    assert scorer.scored[()] == 1
    assert scorer.calls <= 30
    search(log_probs[:1], BeamOptions(beam_size=5, **EXACT), [WeightedScorer(scorer, 0.5, "table")])
    assert set(scorer.extended.values()) == set(scorer.scored.values()) == {1}


def test_frames_that_are_sure_ask_nothing() -> None:
    scorer = TableScorer(6)
    log_probs = peaked([0] * 9 + [2] + [0] * 9, 6, peak=0.99995)[None]
    search(log_probs, BeamOptions(), [WeightedScorer(scorer, 0.5, "table")])
    assert set(scorer.scored) == {()}


@pytest.mark.parametrize("scored", [False, True])
def test_memory_is_bounded(scored: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    log_probs = emissions(2, 400, 5, blank=1.0)
    options = BeamOptions(beam_size=6, nbest=3, **EXACT)
    scorers = [WeightedScorer(TableScorer(5), 0.3, "table")] if scored else []
    expected = search(log_probs, options, scorers, [400, 90])
    monkeypatch.setattr(beam, "CHILD_TABLE_ENTRIES", 1000)
    with torch.inference_mode():
        small_one = Search(2, 5, scorers, options, log_probs.device)
        frames = small_one.order(log_probs, torch.tensor([400, 90]))
        small_one.run(frames)
        found = small_one.results(frames.order.tolist(), frames.offsets)
    # a hypothesis is at most as long as its frames, and those of an utterance share most of their prefixes
    assert small_one.trie.limit <= 1000 and small_one.trie.size <= 1000
    if small_one.cache is not None:
        assert small_one.cache.size <= 1000
    assert [[hypothesis.tokens for hypothesis in row] for row in found] == [
        [candidate.tokens for candidate in row] for row in expected
    ]
    for row, other in zip(found, expected, strict=True):
        assert [candidate.score for candidate in row] == pytest.approx(
            [candidate.score for candidate in other], abs=1e-3
        )


@pytest.mark.parametrize("scored", [False, True])
def test_no_frames_and_one_frame(scored: bool) -> None:
    scorer = TableScorer(3)
    scorers = [WeightedScorer(scorer, 2.0, "table")] if scored else []
    end = 2.0 * scorer.row(())[-1] if scored else 0.0
    ((nothing,),) = search(torch.zeros(1, 0, 3), BeamOptions(), scorers)
    assert (nothing.tokens, nothing.acoustic, nothing.score) == ((), 0.0, pytest.approx(end))
    log_probs = torch.tensor([[[0.1, 0.7, 0.2]]]).log()
    (hypotheses,) = search(log_probs, EVERYTHING, scorers)
    expected = all_readings(log_probs[0], [(scorer, 2.0)] if scored else [])
    assert {hypothesis.tokens: hypothesis.score for hypothesis in hypotheses} == pytest.approx(expected, abs=1e-5)
    assert beam_search(torch.zeros(0, 5, 3), torch.zeros(0, dtype=torch.int64)) == []


def test_impossible_frames_and_symbols() -> None:
    log_probs = emissions(1, 5, 4)
    log_probs[0, 2] = -math.inf  # says nothing
    (hypotheses,) = search(log_probs, EVERYTHING)
    expected = all_readings(log_probs[0, [0, 1, 3, 4]])
    assert {hypothesis.tokens: hypothesis.score for hypothesis in hypotheses} == pytest.approx(expected, abs=1e-4)
    log_probs = emissions(1, 4, 4)
    log_probs[0, 1, 0] = log_probs[0, 2, 2] = log_probs[0, 3, :2] = -math.inf
    (hypotheses,) = search(log_probs, EVERYTHING)
    expected = all_readings(log_probs[0])
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
    here = beam_search(log_probs, frames, scorers, options)
    there = beam_search(log_probs.cuda(), frames.cuda(), scorers, options)
    for row, other in zip(here, there, strict=True):
        assert [hypothesis.tokens for hypothesis in row] == [hypothesis.tokens for hypothesis in other]
        assert [hypothesis.score for hypothesis in row] == pytest.approx(
            [hypothesis.score for hypothesis in other], abs=1e-3
        )
