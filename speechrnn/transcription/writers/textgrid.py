"""Write Praat's TextGrid, which shows words and segments along the sound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from speechrnn.transcription.writers.fields import TranscriptFields, one_line, whole_milliseconds

Interval = tuple[int, int, str]
"""Start and end in milliseconds, text."""


class TextGridWriter:
    """Write a tier of words and one of segments, in Praat's long text format.

    The intervals of a tier cover the recording from 0 to its end: between words stand empty ones, and where there are
    no words, a single empty one.
    """

    suffix = ".textgrid"

    def format(self, transcript: TranscriptFields, recording: str) -> str:
        """See Writer."""
        words = [(start, end, one_line(word.word)) for start, end, word in whole_milliseconds(transcript.words)]
        segments = [
            (start, end, one_line(segment.text)) for start, end, segment in whole_milliseconds(transcript.segments)
        ]
        # All tiers end together, and Praat knows no recording of length 0.
        ends = [end for _, end, _ in words[-1:] + segments[-1:]]
        last = max([1, round(1000 * transcript.duration), *ends])
        parts = ['File type = "ooTextFile"\nObject class = "TextGrid"\n\n']
        parts.append(f"xmin = 0 \nxmax = {last / 1000} \ntiers? <exists> \nsize = 2 \nitem []: \n")
        for number, (name, intervals) in enumerate((("words", words), ("segments", segments)), 1):
            parts += _tier(number, name, list(_tiled(intervals, last)), last=last)
        return "".join(parts)


def _tiled(intervals: Iterable[Interval], last: int) -> Iterator[Interval]:
    """Add empty intervals before, between and after the intervals, up to `last` milliseconds."""
    reached = 0
    for start, end, text in intervals:
        if start > reached:
            yield reached, start, ""
        yield start, end, text
        reached = end
    if last > reached:
        yield reached, last, ""


def _tier(number: int, name: str, intervals: list[Interval], last: int) -> Iterator[str]:
    """Yield the lines of a tier, each with the space at its end that Praat writes."""
    yield f'    item [{number}]:\n        class = "IntervalTier" \n        name = "{name}" \n'
    yield f"        xmin = 0 \n        xmax = {last / 1000} \n        intervals: size = {len(intervals)} \n"
    for count, (start, end, text) in enumerate(intervals, 1):
        yield f"        intervals [{count}]:\n            xmin = {start / 1000} \n            xmax = {end / 1000} \n"
        yield '            text = "{}" \n'.format(text.replace('"', '""'))
