"""What is known of a recording when it has been transcribed, in the form that is written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from speechrnn.decoding.hypothesis import DecodingResult, Word

SHORTEST_WORD = 0.005  # seconds; half a frame or less, so that there is always room for it


@dataclass(frozen=True)
class Alternative:
    """A reading of the same audio.

    Attributes:
        score: natural logarithm, by which the readings are ranked.
        acoustic: what the acoustic model has to do with it.
        parts: what each other opinion (a language model, hot words) says, before its weight.
    """

    text: str
    score: float
    acoustic: float
    parts: dict[str, float]


@dataclass(frozen=True)
class Segment:
    """A stretch of speech; times in seconds from the start of the audio, confidences 0 to 1.

    Attributes:
        alternatives: the readings of the stretch that were compared, its own first; greedy decoding compares none.
    """

    start: float
    end: float
    text: str
    confidence: float
    words: tuple[Word, ...]
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True)
class Transcript:
    """What was said, and when.

    Attributes:
        audio: the path as it was given; "samples N" for the N-th source (from 0) where that was samples.
        duration: seconds.
        confidence: 0 to 1, the mean of the words'; of a transcript without words, that there are none.
        segments: in order, one for each stretch of speech in which words were found.
        alternatives: the readings that were compared, the best, which is the transcript's own, first; greedy decoding
            compares none. Those of a recording with several stretches are with its segments.
        model: the model directory.
        decoding: how the words were found, "greedy" or "beam".
        incomplete: why this is not of the whole recording, one sentence; None: it is.
    """

    audio: str
    duration: float
    text: str
    confidence: float
    segments: tuple[Segment, ...]
    alternatives: tuple[Alternative, ...]
    model: str
    decoding: str
    incomplete: str | None = None

    @property
    def words(self) -> tuple[Word, ...]:
        """The words of all segments."""
        return tuple(word for segment in self.segments for word in segment.words)

    def to_json(self) -> dict[str, Any]:
        """The transcript in values for `json.dump`; the fields are the keys of the file format."""
        return asdict(self)


@dataclass(frozen=True)
class Failure:
    """A source that could not be transcribed.

    Attributes:
        audio: as in Transcript.
        reason: one sentence that says why, and what to do.
    """

    audio: str
    reason: str


@dataclass(frozen=True)
class DecodedSegment:
    """What was found in one stretch of a recording.

    Attributes:
        start: of the stretch, seconds from the start of the recording; `decoded` counts its times from there.
    """

    start: float
    decoded: DecodingResult


def assemble(
    audio: str,
    seconds: float,
    stretches: Sequence[DecodedSegment],
    model: str,
    decoding: str,
    incomplete: str | None = None,
) -> Transcript:
    """The transcript of a recording of so many seconds, from what was found in its stretches, in their order."""
    duration = round(seconds, 3)
    shifted = [
        replace(word, start=word.start + one.start, end=word.end + one.start)
        for one in stretches
        for word in one.decoded.words
    ]
    words = fit(shifted, duration)
    alternatives = [_alternatives(one.decoded) for one in stretches]
    segments = []
    first = 0
    for one, compared in zip(stretches, alternatives, strict=True):
        own = words[first : first + len(one.decoded.words)]
        first += len(own)
        if own:
            text = " ".join(word.word for word in own)
            segments.append(Segment(own[0].start, own[-1].end, text, _mean(own), own, compared))
    text = " ".join(segment.text for segment in segments)
    confidence = _mean(words) if words else _sure_of_none(stretches)
    only = alternatives[0] if len(stretches) == 1 else ()
    return Transcript(audio, duration, text, confidence, tuple(segments), only, model, decoding, incomplete)


def fit(words: Sequence[Word], duration: float) -> tuple[Word, ...]:
    """Words that lie within the audio, in milliseconds: ends are cut, order and a length above 0 kept.

    Args:
        words: in order, without overlap, each at least a frame long; the last one may end beyond the audio, or even
            begin where the audio ends.
        duration: seconds.
    """
    fitted = []
    limit = duration
    for word in reversed(words):
        end = min(round(word.end, 3), limit)
        start = max(0.0, min(round(word.start, 3), round(end - SHORTEST_WORD, 3)))
        fitted.append(replace(word, start=start, end=end, confidence=round(word.confidence, 4)))
        limit = start
    return tuple(reversed(fitted))


def _mean(words: Sequence[Word]) -> float:
    return round(sum(word.confidence for word in words) / len(words), 4)


def _sure_of_none(stretches: Sequence[DecodedSegment]) -> float:
    """The geometric mean of the frames' probabilities of the readings that found no word."""
    acoustic = sum(one.decoded.hypotheses[0].acoustic for one in stretches)
    return round(math.exp(acoustic / max(1, sum(one.decoded.frames for one in stretches))), 4)


def _alternatives(decoded: DecodingResult) -> tuple[Alternative, ...]:
    if len(decoded.hypotheses) == 1 and not decoded.hypotheses[0].parts:
        return ()  # nothing was compared
    return tuple(
        Alternative(
            text, round(one.score, 4), round(one.acoustic, 4), {key: round(v, 4) for key, v in one.parts.items()}
        )
        for text, one in zip(decoded.texts, decoded.hypotheses, strict=True)
    )
