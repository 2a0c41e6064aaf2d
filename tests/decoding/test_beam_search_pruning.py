"""Pruning of the beam search: blanks, symbols and hypotheses that are left out, and what is not scored."""

from __future__ import annotations

import pytest
import torch
from helpers.beam_search import EXACT, TableScorer, emissions, peaked, search
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.decoding import beam_search as beam
from speechrnn.decoding.beam_search import BeamOptions, Search
from speechrnn.decoding.frames import Frames
from speechrnn.decoding.scorers.base import WeightedScorer


def ordered(log_probs: torch.Tensor, options: BeamOptions) -> Frames:
    """The frames of one utterance, as a search steps through them."""
    search_ = Search(1, log_probs.shape[2], [], options=options, device=log_probs.device)
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
    expected = search(log_probs, options, scorers, frames=[400, 90])
    monkeypatch.setattr(beam, "CHILD_TABLE_ENTRIES", 1000)
    with torch.inference_mode():
        small_one = Search(2, 5, scorers, options=options, device=log_probs.device)
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
