"""Text on one line, and times in whole milliseconds that stay in order."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from speechrnn.transcription.writers.fields import one_line, whole_milliseconds


@dataclass(frozen=True)
class Span:
    """A start and an end in seconds."""

    start: float
    end: float


@given(st.text())
def test_any_text_is_one_line_without_control_characters(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1 and line == line.strip(" ") and "  " not in line
    assert one_line(line) == line
    line.encode("utf-8")


def test_what_is_visible_stays() -> None:
    assert one_line(" a\tb\r\nc\u2028 d ") == "a b c d"
    assert one_line("e\u0301\u200dx\u00a0y") == "e\u0301\u200dx\u00a0y"
    assert one_line("\u00a0\n") == ""


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100))))
def test_times_never_overlap_or_vanish(times: list[tuple[float, float]]) -> None:
    timed = whole_milliseconds([Span(start, end) for start, end in times])
    assert [item for _, _, item in timed] == [Span(start, end) for start, end in times]
    ends = [0, *(end for _, end, _ in timed)]
    assert all(before <= start < end for before, (start, end, _) in zip(ends, timed, strict=False))
    for start, _, item in timed:
        assert start >= round(1000 * item.start)
