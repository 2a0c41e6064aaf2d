"""A search that gets its frames in blocks finds what one over all frames finds."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from helpers.emissions import TOKENIZER
from helpers.language_models import toy_model
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.decoding import streaming_search
from speechrnn.decoding.beam_search import beam_search
from speechrnn.decoding.fusion import HOT_WORDS, LANGUAGE, LENGTH, DecodingOptions
from speechrnn.decoding.hypothesis import Hypothesis
from speechrnn.decoding.scorers.base import LabelScorer, WeightedScorer, WordInsertionBonus
from speechrnn.decoding.scorers.hot_words import HotWords
from speechrnn.decoding.scorers.lexicon import Lexicon
from speechrnn.decoding.scorers.neural import NeuralModel
from speechrnn.decoding.streaming_search import SearchState, StreamingSearch

CPU = torch.device("cpu")
OPTIONS = DecodingOptions(name="beam", beam_size=8, nbest=4)


def uttered(seed: int, frames: int, sharpness: float = 3.0) -> Tensor:
    """(frames, symbols) log-probabilities, about half of them of blanks that are sure."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(frames, len(TOKENIZER), generator=generator) * sharpness
    logits[torch.rand(frames, generator=generator) < 0.5, 0] += 25.0
    return logits.log_softmax(1)


def scorers(kind: str) -> list[WeightedScorer]:
    if kind == "none":
        return []
    if kind == "lexicon":
        return [WeightedScorer(Lexicon(["BAD", "ACE", "BEECH", "A"], TOKENIZER), 1.0, "lexicon")]
    model = LabelScorer(NeuralModel(toy_model(len(TOKENIZER))), torch.arange(len(TOKENIZER)))
    return [WeightedScorer(model, 0.7, LANGUAGE), WeightedScorer(WordInsertionBonus(TOKENIZER), 0.5, LENGTH)]


def in_blocks(search: StreamingSearch, log_probs: Tensor, blocks: Sequence[int], **words: object) -> list[Hypothesis]:
    segment, place, turn = search.start(**words), 0, 0  # type: ignore[arg-type]
    stable: tuple[int, ...] = ()
    while place < len(log_probs):
        size = blocks[turn % len(blocks)]
        search.advance([segment], [log_probs[place : place + size]])
        place, turn = place + size, turn + 1
        best, count = search.best(segment)
        assert best[: len(stable)] == stable and count >= len(stable)
        stable = best[:count]
    found = search.finish(segment)
    for hypothesis in found:
        assert (*hypothesis.tokens, *hypothesis.open_word)[: len(stable)] == stable
    return found


def assert_same(found: list[Hypothesis], expected: list[Hypothesis]) -> None:
    assert [hypothesis.tokens for hypothesis in found] == [hypothesis.tokens for hypothesis in expected]
    for hypothesis, other in zip(found, expected, strict=True):
        assert hypothesis.score == pytest.approx(other.score, abs=1e-3)
        assert hypothesis.parts == pytest.approx(other.parts, abs=1e-3)
        assert hypothesis.open_word == other.open_word


@pytest.mark.parametrize("kind", ["none", "language", "lexicon"])
@settings(max_examples=15)
@given(
    seed=st.integers(0, 10**6),
    frames=st.integers(0, 40),
    blocks=st.lists(st.integers(0, 9), min_size=1, max_size=4).filter(any),
)
def test_blocks_do_not_change_the_hypotheses(kind: str, seed: int, frames: int, blocks: list[int]) -> None:
    log_probs = uttered(seed, frames)
    found = in_blocks(StreamingSearch(TOKENIZER, scorers(kind), OPTIONS, device=CPU), log_probs, blocks)
    (expected,) = beam_search(log_probs[None], torch.tensor([frames]), scorers(kind), options=OPTIONS.search)
    assert_same(found, expected)


@pytest.mark.parametrize("kind", ["none", "language"])
def test_streams_share_a_batch_and_come_and_go(kind: str) -> None:
    search = StreamingSearch(TOKENIZER, scorers(kind), OPTIONS, device=CPU)
    utterances = [uttered(seed, 20 + 7 * seed) for seed in range(5)]
    live: dict[int, SearchState] = {}
    places = [0] * 5
    found: dict[int, list[Hypothesis]] = {}
    for turn in range(60):
        if turn < 5:
            live[turn] = search.start()
        ready = [number for number in live if (turn + number) % 3]
        rows = [utterances[number][places[number] : places[number] + 4] for number in ready]
        search.advance([live[number] for number in ready], rows)
        for number, part in zip(ready, rows, strict=True):
            places[number] += len(part)
            if places[number] == len(utterances[number]):
                found[number] = search.finish(live.pop(number))
    assert len(found) == 5
    for number, log_probs in enumerate(utterances):
        (expected,) = beam_search(
            log_probs[None], torch.tensor([len(log_probs)]), scorers(kind), options=OPTIONS.search
        )
        assert_same(found[number], expected)


@pytest.mark.parametrize("kind", ["none", "language"])
def test_what_is_forgotten_does_not_change_the_hypotheses(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log_probs, other = uttered(3, 60), uttered(4, 60)
    expected = in_blocks(StreamingSearch(TOKENIZER, scorers(kind), OPTIONS, device=CPU), log_probs, [3])
    monkeypatch.setattr(streaming_search, "MOST_STATES", 30)
    search = StreamingSearch(TOKENIZER, scorers(kind), OPTIONS, device=CPU)
    search._search.trie.limit = 100  # nodes are dropped all the time
    beside = search.start()
    search.advance([beside], [other[:30]])
    assert_same(in_blocks(search, log_probs, [3]), expected)
    search.advance([beside], [other[30:]])
    assert_same(search.finish(beside), in_blocks(search, other, [60]))


def test_memory_is_bounded() -> None:
    search = StreamingSearch(TOKENIZER, scorers("language"), OPTIONS, device=CPU)
    sizes = []
    for seed in range(12):
        in_blocks(search, uttered(seed, 150), [5])
        search.advance([search.start()], [uttered(seed, 1)])  # when it is forgotten
        assert search._search.cache is not None
        sizes.append(search._search.cache.states)
    assert max(sizes) <= streaming_search.IDLE_STATES


@pytest.mark.parametrize("kind", ["none", "language"])
def test_each_stream_has_hot_words_of_its_own(kind: str) -> None:
    search = StreamingSearch(TOKENIZER, scorers(kind), OPTIONS, device=CPU)
    log_probs = uttered(1, 50, sharpness=1.0)
    plain, first = search.start(), search.start(["BAD"])
    second, again = search.start(["ACE", "A"]), search.start(["BAD"])
    states = [plain, first, second, again]
    for place in range(0, 50, 5):
        search.advance(states, [log_probs[place : place + 5]] * 4)
    for state, words in zip(states, [[], ["BAD"], ["ACE", "A"], ["BAD"]], strict=True):
        expected_scorers = scorers(kind)
        if words:
            hot = HotWords(dict.fromkeys(words, 1.0), TOKENIZER)
            expected_scorers.append(WeightedScorer(hot, OPTIONS.hot_word_boost, HOT_WORDS))
        (expected,) = beam_search(log_probs[None], torch.tensor([50]), expected_scorers, options=OPTIONS.search)
        found = search.finish(state)
        assert [hypothesis.tokens for hypothesis in found] == [hypothesis.tokens for hypothesis in expected]


def test_hot_words_that_cannot_be_written_are_refused_and_nothing_changes() -> None:
    search = StreamingSearch(TOKENIZER, [], OPTIONS, device=CPU)
    with pytest.raises(UserError, match="hot words"):
        search.start(["ÜBER"])
    log_probs = uttered(1, 30)
    (expected,) = beam_search(log_probs[None], torch.tensor([30]), [], options=OPTIONS.search)
    assert_same(in_blocks(search, log_probs, [7]), expected)
