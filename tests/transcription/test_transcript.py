"""Times, confidences and texts of transcripts that are put together from stretches."""

from __future__ import annotations

import itertools
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.audio import MIN_SECONDS
from speechrnn.decoding.hypothesis import DecodingResult, Hypothesis, Word
from speechrnn.transcription.transcript import DecodedSegment, assemble, fit_words


def decoded(
    *words: Word, acoustic: float = -1.0, parts: dict[str, float] | None = None, frames: int = 10
) -> DecodingResult:
    """Return the result of a decoder."""
    reading = Hypothesis((1,) * len(words), acoustic, acoustic, parts=parts or {})
    return DecodingResult(words, (" ".join(word.word for word in words),), (reading,), frames=frames)


def test_times_are_the_recordings() -> None:
    first = DecodedSegment(0.0, decoded(Word("A", 0.5, 0.8, confidence=0.9), Word("B", 1.0, 1.2, confidence=0.7)))
    nothing = DecodedSegment(5.0, decoded())
    last = DecodedSegment(61.25, decoded(Word("C", 0.0, 0.3, confidence=0.4)))
    transcript = assemble("long.wav", 70.0, [first, nothing, last], model="model", decoding="greedy")
    assert [(segment.text, segment.start, segment.end) for segment in transcript.segments] == [
        ("A B", 0.5, 1.2),
        ("C", 61.25, 61.55),
    ]
    assert [segment.confidence for segment in transcript.segments] == [0.8, 0.4]
    assert transcript.text == "A B C"
    assert transcript.confidence == pytest.approx((0.9 + 0.7 + 0.4) / 3, abs=1e-4)
    assert [word.word for word in transcript.words] == ["A", "B", "C"]
    assert transcript.incomplete is None


def test_without_words_it_is_as_sure_as_all_frames_together() -> None:
    stretches = [
        DecodedSegment(0.0, decoded(acoustic=10 * math.log(0.9), frames=10)),
        DecodedSegment(9.0, decoded(acoustic=30 * math.log(0.5), frames=30)),
    ]
    transcript = assemble("a.wav", 20.0, stretches, model="model", decoding="greedy")
    assert transcript.segments == ()
    assert transcript.confidence == pytest.approx(math.exp((10 * math.log(0.9) + 30 * math.log(0.5)) / 40), abs=1e-4)


def test_where_nobody_speaks_that_is_sure() -> None:
    transcript = assemble("a.wav", 20.0, [], model="model", decoding="greedy")
    assert (transcript.text, transcript.segments, transcript.confidence) == ("", (), 1.0)


def test_readings_of_one_stretch_are_the_transcripts_and_of_several_their_segments() -> None:
    first = DecodedSegment(0.0, decoded(Word("A", 0.5, 0.8, confidence=0.9), parts={"lm": -2.0}))
    second = DecodedSegment(5.0, decoded(Word("B", 0.5, 0.8, confidence=0.9), parts={"lm": -3.0}))
    alone = assemble("a.wav", 9.0, [first], model="model", decoding="beam")
    assert [(reading.text, reading.parts) for reading in alone.alternatives] == [("A", {"lm": -2.0})]
    both = assemble("a.wav", 9.0, [first, second], model="model", decoding="beam")
    assert both.alternatives == ()
    assert [[reading.text for reading in segment.alternatives] for segment in both.segments] == [["A"], ["B"]]
    # also where the reading that was preferred is that nothing was said
    assert (
        len(
            assemble(
                "a.wav", 9.0, [DecodedSegment(0.0, decoded(parts={"lm": -1.0}))], model="model", decoding="beam"
            ).alternatives
        )
        == 1
    )


def test_what_is_missing_is_said() -> None:
    transcript = assemble("a.wav", 9.0, [], model="model", decoding="greedy", incomplete="a.wav breaks off.")
    assert json.loads(json.dumps(transcript.to_json()))["incomplete"] == "a.wav breaks off."


def test_a_word_that_ends_behind_the_audio_is_cut_there_and_the_one_before_stays() -> None:
    stretches = [
        DecodedSegment(0.0, decoded(Word("A", 0.5, 0.8, confidence=0.9))),
        DecodedSegment(0.9, decoded(Word("B", 0.0, 0.24, confidence=0.9))),
    ]
    first, second = assemble("a.wav", 1.1, stretches, model="model", decoding="greedy").segments
    assert (first.start, first.end) == (0.5, 0.8)
    assert (second.start, second.end) == (0.9, 1.1)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(1, 5)), min_size=1, max_size=8),
    st.sampled_from([0.01, 0.02, 0.03, 0.04]),
    st.floats(0.0, 1.0),
)
def test_times_lie_in_the_audio_in_order_and_take_time(layout: list[tuple[int, int]], frame: float, cut: float) -> None:
    words, frames = [], 0
    for number, (pause, length) in enumerate(layout):
        start = frames + pause
        frames = start + length
        words.append(Word(f"w{number}", start * frame, frames * frame, confidence=0.5))
    # The audio ends within the last frame, perhaps where it begins.
    duration = round(max((frames - 1 + cut) * frame, MIN_SECONDS), 3)
    fitted = fit_words(words, duration)
    assert [word.word for word in fitted] == [word.word for word in words]
    assert fitted[0].start >= 0 and fitted[-1].end <= duration
    assert all(word.start < word.end for word in fitted)
    assert all(word.end <= later.start for word, later in itertools.pairwise(fitted))
    for before, after in zip(words[:-2], fitted[:-2], strict=True):  # only the end is touched
        assert after.start == pytest.approx(before.start, abs=6e-4)
        assert after.end == pytest.approx(before.end, abs=6e-4)
