"""Praat's TextGrid, in which phoneticians look at words above the sound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from speechrnn.core.files import atomic_write
from speechrnn.transcription.writers.fields import one_line, whole_milliseconds

if TYPE_CHECKING:
    from speechrnn.transcription.transcript import Transcript

Interval = tuple[int, int, str]
"""Start and end in milliseconds, text."""


class TextGridWriter:
    """A tier of words and one of segments, in Praat's long text format.

    The intervals of a tier leave nothing out, from 0 to the end of the recording: between words stand empty ones, and
    where nothing was said, one stands alone.
    """

    suffix = ".textgrid"

    def write(self, transcript: Transcript, path: Path) -> None:
        """See Writer."""
        words = [(start, end, one_line(word.word)) for start, end, word in whole_milliseconds(transcript.words)]
        segments = [(start, end, one_line(one.text)) for start, end, one in whole_milliseconds(transcript.segments)]
        # All tiers end together, and Praat knows no recording of length 0.
        last = max(1, round(1000 * transcript.duration), *(end for _, end, _ in (*words[-1:], *segments[-1:])))
        with atomic_write(path) as file:
            file.write('File type = "ooTextFile"\nObject class = "TextGrid"\n\n')
            file.write(f"xmin = 0 \nxmax = {last / 1000} \ntiers? <exists> \nsize = 2 \nitem []: \n")
            for number, (name, intervals) in enumerate((("words", words), ("segments", segments)), 1):
                file.writelines(_tier(number, name, list(_tiled(intervals, last)), last))


def _tiled(intervals: Iterable[Interval], last: int) -> Iterator[Interval]:
    """The intervals with empty ones before, between and after them, up to `last`."""
    reached = 0
    for start, end, text in intervals:
        if start > reached:
            yield reached, start, ""
        yield start, end, text
        reached = end
    if last > reached:
        yield reached, last, ""


def _tier(number: int, name: str, intervals: list[Interval], last: int) -> Iterator[str]:
    """The lines of a tier, each with the blank at its end that Praat writes."""
    yield f'    item [{number}]:\n        class = "IntervalTier" \n        name = "{name}" \n'
    yield f"        xmin = 0 \n        xmax = {last / 1000} \n        intervals: size = {len(intervals)} \n"
    for count, (start, end, text) in enumerate(intervals, 1):
        yield f"        intervals [{count}]:\n            xmin = {start / 1000} \n            xmax = {end / 1000} \n"
        yield '            text = "{}" \n'.format(text.replace('"', '""'))
