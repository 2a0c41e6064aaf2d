"""Events of a live recognition: words that may still change, and words that do not."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from speechrnn.decoding.hypothesis import Word
from speechrnn.transcription.transcript_warnings import TranscriptWarning


@dataclass(frozen=True)
class Event:
    """Hold the words of a stream's segment at some moment.

    The first `stable_words` words of a segment never change: each later event of it begins with them. An event of the
    kind `final` is the last one of its segment, and there is one for each segment that had a partial event.

    >>> Event("partial", 0, "TWO RED", (), stable_words=1, time=1.2).to_json()["text"]
    'TWO RED'

    Attributes:
        kind: whether the words may still change.
        segment: number of the segment in the stream, from 0.
        text: the words, separated by spaces.
        words: with times, in seconds from the start of the stream, and confidences.
        stable_words: how many words, from the first, stay as they are; all of a final.
        time: seconds of the stream that were recognised when the event was made.
        warnings: reasons to doubt the words of the stream that no earlier final gave; none for a partial.
    """

    kind: Literal["partial", "final"]
    segment: int
    text: str
    words: tuple[Word, ...]
    stable_words: int
    time: float
    warnings: tuple[TranscriptWarning, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the event in values for `json.dump`."""
        return asdict(self)
