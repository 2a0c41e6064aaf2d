"""What the formats share: text that breaks no line, and times in whole milliseconds that stay in order."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol, TypeVar

BREAKS = re.compile("[\t-\r\x1c-\x1f\x85\u2028\u2029 ]+")  # blanks, tabs and all that str.splitlines breaks at
CONTROLS = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")  # NUL, escape, ...; not one is printed
SURROGATES = re.compile("[\ud800-\udfff]")  # half a character, which UTF-8 cannot hold


class Timed(Protocol):
    """Anything with a start and an end, in seconds."""

    @property
    def start(self) -> float: ...

    @property
    def end(self) -> float: ...


TimedT = TypeVar("TimedT", bound=Timed)


def one_line(text: str) -> str:
    """Text without line breaks, control characters or doubled spaces; "" where nothing is to be seen.

    Everything else stays as it is: combining and right-to-left marks, joiners, unbreakable spaces.
    """
    text = BREAKS.sub(" ", CONTROLS.sub("", SURROGATES.sub("\ufffd", text))).strip(" ")
    return text if text.strip() else ""


def whole_milliseconds(items: Iterable[TimedT]) -> list[tuple[int, int, TimedT]]:
    """(start, end, item) in milliseconds, in the order given: start < end, and none before the end of the last.

    What rounding (or its maker) lets overlap or vanish is moved on, by as little as needed.
    """
    timed, earliest = [], 0
    for item in items:
        start = max(earliest, round(1000 * item.start))
        earliest = max(start + 1, round(1000 * item.end))
        timed.append((start, earliest, item))
    return timed
