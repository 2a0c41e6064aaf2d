"""The result of a transcription, as it is written to files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from speechrnn.audio.errors import AudioError
from speechrnn.core.failures import describe_error, traceback_of
from speechrnn.decoding.hypothesis import DecodingResult, Word
from speechrnn.decoding.uncertainty import Uncertainty
from speechrnn.transcription.transcript_warnings import TranscriptWarning
from speechrnn.transcription.writers import find_writers

SHORTEST_WORD = 0.005  # seconds; half a frame or less, so that there is always space for it


@dataclass(frozen=True)
class Alternative:
    """Hold a hypothesis for the same audio.

    >>> Alternative("TUNA", score=-2.0, acoustic=-1.5, parts={"language_model": -1.0}).text
    'TUNA'

    Attributes:
        text: its words.
        score: natural logarithm, by which the hypotheses are ranked.
        acoustic: log-probability by the acoustic model.
        parts: score of each other model (a language model, hot words), before its weight.
    """

    text: str
    score: float
    acoustic: float
    parts: dict[str, float]


@dataclass(frozen=True)
class Segment:
    """Hold the words of a segment of speech.

    >>> Segment(0.5, 1.2, "TUNA", 0.9, (Word("TUNA", 0.5, 1.2, 0.9),)).words[0].word
    'TUNA'

    Attributes:
        start: seconds from the start of the audio.
        end: the same.
        text: the words, separated by spaces.
        confidence: 0 to 1, mean of the words'.
        words: with times and confidences.
        alternatives: the hypotheses that were compared, the segment's own first; none after greedy decoding.
    """

    start: float
    end: float
    text: str
    confidence: float
    words: tuple[Word, ...]
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True)
class Transcript:
    """Hold the words of a recording, with their times and confidences.

    >>> Transcript("talk.wav", 1.0, "", 1.0, (), (), model="english", decoding="greedy").to("srt")
    ''

    Reasons to doubt the words, such as sound unlike the model's training, are in `warnings`:

    >>> doubt = (TranscriptWarning("unfamiliar", "The sound is unlike what the model was trained on."),)
    >>> transcript = Transcript("song.mp3", 1.0, "", 1.0, (), (), model="english", decoding="greedy", warnings=doubt)
    >>> [warning.kind for warning in transcript.warnings]
    ['unfamiliar']

    Attributes:
        audio: the path as it was given; "samples N" for the N-th source (from 0) where that was samples.
        duration: seconds.
        text: all words, separated by spaces.
        confidence: 0 to 1, mean of the words'; without words, the probability that there are none.
        segments: in order, one for each segment of speech in which words were found.
        alternatives: the hypotheses that were compared, the transcript's own first; none after greedy decoding. Those
            of a recording with several segments are in its segments.
        model: the model directory.
        decoding: "greedy" or "beam".
        incomplete: why this is not of the whole recording, one sentence; None: it is.
        channel: index of the channel that was transcribed; None: their mix.
        warnings: reasons to doubt its words, each with a `kind` and a `message`; mostly none.
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
    channel: int | None = None
    warnings: tuple[TranscriptWarning, ...] = ()

    @property
    def words(self) -> tuple[Word, ...]:
        """Return the words of all segments."""
        return tuple(word for segment in self.segments for word in segment.words)

    def to_json(self) -> dict[str, Any]:
        """Return the transcript in values for `json.dump`; the fields are the keys of the file format."""
        return asdict(self)

    def to(self, format: str) -> str:
        """Return the text of a file in one of the formats.

        Args:
            format: "txt", "json", "srt", "vtt", "tsv", "ctm" or "textgrid".

        Raises:
            UserError: an unknown format.
        """
        (writer,) = find_writers([format])
        return writer.format(self, Path(self.audio).stem)


class OriginalError(Exception):
    """Show the traceback of an exception in another thread or process, which is its message."""


@dataclass(frozen=True)
class Failure:
    """Hold the reason why a source could not be transcribed.

    >>> Failure("talks/a.wav", "talks/a.wav is empty; copy it again.").details is None
    True

    Attributes:
        audio: as in Transcript.
        reason: one sentence that says why, and what to do.
        details: the traceback of an unexpected error, for a log; None: the reason says everything.
    """

    audio: str
    reason: str
    details: str | None = None

    @classmethod
    def of(cls, audio: str, error: Exception) -> Failure:
        """Make the failure of a source over which an exception was raised."""
        return cls(audio, describe_error(audio, error), traceback_of(error))

    def to_exception(self) -> AudioError:
        """Return the failure as an exception; the traceback of an unexpected error is its cause."""
        error = AudioError(self.reason)
        error.__cause__ = None if self.details is None else OriginalError(self.details)
        return error


@dataclass(frozen=True)
class DecodedSegment:
    """Hold the decoding result of a segment of a recording.

    Attributes:
        start: of the segment, seconds from the start of the recording; the times in `result` count from there.
        result: words and hypotheses.
        uncertainty: of its emissions; None: not measured.
    """

    start: float
    result: DecodingResult
    uncertainty: Uncertainty | None = None


def assemble(
    audio: str,
    seconds: float,
    decoded: Sequence[DecodedSegment],
    *,
    model: str,
    decoding: str,
    incomplete: str | None = None,
    warnings: Sequence[TranscriptWarning] = (),
) -> Transcript:
    """Make the transcript of a recording from its decoded segments.

    Args:
        audio: name of the recording.
        seconds: its length.
        decoded: its segments, in order.
        model: name of the model.
        decoding: name of the way of decoding.
        incomplete: why this is not of the whole recording; None: it is.
        warnings: reasons to doubt its words.
    """
    duration = round(seconds, 3)
    segments = assemble_segments(decoded, duration)
    words = [word for segment in segments for word in segment.words]
    return Transcript(
        audio=audio,
        duration=duration,
        text=" ".join(segment.text for segment in segments),
        confidence=_mean_confidence(words) if words else _silence_confidence(decoded),
        segments=tuple(segments),
        alternatives=_alternatives(decoded[0].result) if len(decoded) == 1 else (),
        model=model,
        decoding=decoding,
        incomplete=incomplete,
        warnings=tuple(warnings),
    )


def assemble_segments(decoded: Sequence[DecodedSegment], duration: float) -> list[Segment]:
    """Return the segments in which words were found, with times that count from the start of the recording.

    Args:
        decoded: segments of a recording, in order.
        duration: of the recording, seconds; no word ends later.
    """
    shifted = [
        replace(word, start=word.start + segment.start, end=word.end + segment.start)
        for segment in decoded
        for word in segment.result.words
    ]
    words = fit_words(shifted, duration)
    segments, first = [], 0
    for segment in decoded:
        own = words[first : first + len(segment.result.words)]
        first += len(own)
        if own:
            text = " ".join(word.word for word in own)
            compared = _alternatives(segment.result)
            segments.append(
                Segment(
                    own[0].start, own[-1].end, text, confidence=_mean_confidence(own), words=own, alternatives=compared
                )
            )
    return segments


def fit_words(words: Sequence[Word], duration: float) -> tuple[Word, ...]:
    """Cut words to the audio and round their times to milliseconds; order and a length above 0 are kept.

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


def _mean_confidence(words: Sequence[Word]) -> float:
    return round(sum(word.confidence for word in words) / len(words), 4)


def _silence_confidence(decoded: Sequence[DecodedSegment]) -> float:
    """Return the geometric mean of the frames' probabilities in segments without words."""
    acoustic = sum(segment.result.hypotheses[0].acoustic for segment in decoded)
    return round(math.exp(acoustic / max(1, sum(segment.result.frames for segment in decoded))), 4)


def _alternatives(result: DecodingResult) -> tuple[Alternative, ...]:
    if len(result.hypotheses) == 1 and not result.hypotheses[0].parts:
        return ()  # nothing was compared
    return tuple(
        Alternative(
            text,
            score=round(hypothesis.score, 4),
            acoustic=round(hypothesis.acoustic, 4),
            parts={key: round(score, 4) for key, score in hypothesis.parts.items()},
        )
        for text, hypothesis in zip(result.texts, result.hypotheses, strict=True)
    )
