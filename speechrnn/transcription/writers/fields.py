"""Shared by the formats: text without line breaks, and times in whole milliseconds that stay in order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeVar

BREAKS = re.compile("[\t-\r\x1c-\x1f\x85\u2028\u2029 ]+")  # blanks, tabs and all that str.splitlines breaks at
CONTROLS = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")  # NUL, escape, ...; not one is printed
SURROGATES = re.compile("[\ud800-\udfff]")  # half of a surrogate pair, which UTF-8 cannot hold


class Timed(Protocol):
    """Anything with a start and an end, in seconds."""

    @property
    def start(self) -> float: ...

    @property
    def end(self) -> float: ...


class WordFields(Timed, Protocol):
    """A word with its confidence, 0 to 1."""

    @property
    def word(self) -> str: ...

    @property
    def confidence(self) -> float: ...


class SegmentFields(Timed, Protocol):
    """A segment with its words."""

    @property
    def text(self) -> str: ...

    @property
    def words(self) -> Sequence[WordFields]: ...


class TranscriptFields(Protocol):
    """The fields of a `Transcript` that the writers read.

    >>> from speechrnn.transcription.transcript import Transcript
    >>> transcript: TranscriptFields = Transcript.from_json(document)  # doctest: +SKIP
    """

    @property
    def audio(self) -> str: ...

    @property
    def duration(self) -> float: ...

    @property
    def text(self) -> str: ...

    @property
    def segments(self) -> Sequence[SegmentFields]: ...

    @property
    def words(self) -> Sequence[WordFields]: ...

    def to_json(self) -> dict[str, Any]: ...


TimedT = TypeVar("TimedT", bound=Timed)


def one_line(text: str) -> str:
    """Remove line breaks, control characters and repeated spaces; return "" where nothing visible is left.

    Everything else stays as it is: combining and right-to-left marks, joiners, non-breaking spaces.
    """
    text = BREAKS.sub(" ", CONTROLS.sub("", SURROGATES.sub("\ufffd", text))).strip(" ")
    return text if text.strip() else ""


def whole_milliseconds(items: Iterable[TimedT]) -> list[tuple[int, int, TimedT]]:
    """Return (start, end, item) in milliseconds, in order: start < end, and none before the end of the last one.

    Items that overlap or vanish by rounding (or before) are moved to later, by as little as needed.
    """
    timed, earliest = [], 0
    for item in items:
        start = max(earliest, round(1000 * item.start))
        earliest = max(start + 1, round(1000 * item.end))
        timed.append((start, earliest, item))
    return timed
