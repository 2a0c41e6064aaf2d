"""A segment of a stream keeps its stable words, holds back the latest ones, and places them in the stream."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import torch

from speechrnn.decoding.hypothesis import Word
from speechrnn.decoding.streaming import DecodingState
from speechrnn.transcription.stream_segment import StreamSegment


class Script:
    """A decoder that returns given words, of one second each, whatever it reads."""

    name = "script"

    def __init__(self, *found: tuple[str, int]) -> None:
        """Take the words of each call, and how many of them are stable."""
        self._found = list(found)

    def start(self, hot_words: Sequence[str] = ()) -> DecodingState:
        return DecodingState()

    def advance(self, states: Sequence[DecodingState], log_probs: Sequence[torch.Tensor]) -> None:
        raise AssertionError("not needed")

    def partial(self, state: DecodingState) -> tuple[tuple[Word, ...], int]:
        text, stable = self._found.pop(0)
        return words(text), stable

    def preview(self, state: DecodingState, log_probs: torch.Tensor) -> tuple[tuple[Word, ...], int]:
        return self.partial(state)

    def finish(self, state: DecodingState) -> SimpleNamespace:
        return SimpleNamespace(words=self.partial(state)[0])


def words(text: str) -> tuple[Word, ...]:
    return tuple(Word(word, number, number + 1.0, confidence=0.9) for number, word in enumerate(text.split()))


def segment(*found: tuple[str, int], first: int = 0, frames: int = 100) -> StreamSegment:
    """Return a segment of frames of 0.1 s."""
    begun = StreamSegment(Script(*found), (), first, seconds_per_frame=0.1)  # type: ignore[arg-type]
    begun.frames = frames
    return begun


def texts(found: tuple[Word, ...] | None) -> list[str] | None:
    return None if found is None else [word.word for word in found]


def test_unchanged_words_are_no_partial_but_newly_stable_ones_are() -> None:
    begun = segment(("two red", 0), ("two red", 0), ("two red", 1), ("two red", 1))
    found = [texts(begun.partial(0.0)) for _ in range(4)]
    assert found == [["two", "red"], None, ["two", "red"], None]
    assert texts(begun.stable) == ["two"]


def test_the_latest_words_are_held_back_unless_they_are_stable() -> None:
    assert texts(segment(("two red fish", 0), frames=30).partial(0.5)) == ["two", "red"]
    assert texts(segment(("two red fish", 3), frames=30).partial(0.5)) == ["two", "red", "fish"]


def test_a_final_begins_with_the_stable_words_whatever_the_decoder_finds() -> None:
    begun = segment(("two red", 2), ("too bed fish", 0))
    begun.partial(0.0)
    assert texts(begun.finish()) == ["two", "red", "fish"]


def test_times_are_those_of_the_stream() -> None:
    begun = segment(("two", 0), ("two red", 0), first=50)
    assert begun.end == 150
    (word,) = begun.preview(torch.zeros(1, 2))
    assert (word.start, word.end) == (5.0, 6.0)
    assert [word.start for word in begun.finish()] == [5.0, 6.0]


def test_without_frames_nothing_is_decoded() -> None:
    begun = segment(frames=0)
    assert begun.partial(0.0) is None
    assert begun.finish() == ()
