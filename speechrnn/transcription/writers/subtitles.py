"""Lay out words as captions: where one ends, when it is shown, and how its lines are broken."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from speechrnn.transcription.writers.fields import TranscriptFields, one_line, whole_milliseconds

MOST_WORDS = 100  # in one caption, whatever the options allow; keeps the layout's time linear
ROUNDING = 1e-6  # milliseconds, by which 1000 times a decimal fraction may fall short
SENTENCE_ENDS = (".", "?", "!", "…", "。", "？", "！", "؟", "।")


@dataclass(frozen=True)
class SubtitleOptions:
    """Set the layout of captions.

    >>> SubtitleOptions(line_length=32).lines
    2

    Attributes:
        line_length: most characters in a line. A longer word has a line for itself, whole.
        lines: most lines in a caption.
        longest: most seconds a caption is shown.
        shortest: least seconds, where the next caption and the end of the recording leave time.
        pause: seconds without speech after which a new caption begins.
    """

    line_length: int = field(default=42, metadata={"min": 1})
    lines: int = field(default=2, metadata={"min": 1})
    longest: float = field(default=7.0, metadata={"min": 0.1})
    shortest: float = field(default=1.0, metadata={"min": 0.0})
    pause: float = field(default=1.0, metadata={"min": 0.0})

    def __post_init__(self) -> None:
        if self.shortest > self.longest:
            raise ValueError(f"shortest={self.shortest:g} must not be above longest={self.longest:g} (seconds).")


@dataclass(frozen=True)
class Caption:
    """Hold the text that is on the screen at once.

    Attributes:
        start, end: milliseconds from the start of the recording.
        lines: from top to bottom, none of them empty.
    """

    start: int
    end: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class _ShownWord:
    """A word as it is shown; times in milliseconds."""

    start: int
    end: int
    text: str
    segment: int


def captions(transcript: TranscriptFields, options: SubtitleOptions) -> Iterator[Caption]:
    """Yield each word once and in order, in captions that follow each other without overlap.

    A caption ends where a segment ends, at each pause, and where it is full. Among all ways to split the words of a
    full caption, the cheapest gives few captions of similar size that end at pauses and at ends of sentences.
    """
    numbered = [(number, word) for number, segment in enumerate(transcript.segments) for word in segment.words]
    times = whole_milliseconds(word for _, word in numbered)
    words = [
        _ShownWord(start, end, text, segment=segment)
        for (segment, _), (start, end, word) in zip(numbered, times, strict=True)
        if (text := one_line(word.word))
    ]
    groups = [group for run in _runs(words, 1000 * options.pause) for group in _split_run(run, options)]
    limits = [*(group[0].start for group in groups[1:]), round(1000 * transcript.duration)]
    for group, following in zip(groups, limits, strict=False):
        start, end = group[0].start, group[-1].end
        shown = max(end, min(start + 1000 * options.shortest, following))
        # Only a single word that lasts longer by itself is cut short here.
        shown = min(shown, start + 1000 * options.longest + ROUNDING)
        yield Caption(start, int(shown), tuple(_lines(group, options.line_length)))


def _runs(words: Sequence[_ShownWord], pause: float) -> Iterator[list[_ShownWord]]:
    """Group words of one segment without a pause (milliseconds) between them."""
    run: list[_ShownWord] = []
    for word in words:
        if run and (word.segment != run[-1].segment or word.start - run[-1].end >= max(1.0, pause)):
            yield run
            run = []
        run.append(word)
    if run:
        yield run


def _split_run(run: Sequence[_ShownWord], options: SubtitleOptions) -> Iterator[Sequence[_ShownWord]]:
    """Yield the words of each caption."""
    capacity = options.lines * options.line_length

    def prices(first: int) -> Iterator[float]:
        """Yield 1 per caption, so that there are few, plus the square of its fill, so that all are alike."""
        used, line, length = 1, 0, -1
        for number in range(first, min(first + MOST_WORDS, len(run))):
            word = run[number]
            width = len(word.text)
            if line and line + 1 + width > options.line_length:
                used, line = used + 1, width
            else:
                line += width + (line > 0)
            length += width + 1
            seconds = (word.end - run[first].start) / 1000
            if number > first and (used > options.lines or seconds > options.longest):
                return
            full = min(1.0, max(length / capacity, seconds / options.longest))
            yield 1.0 + full * full - _break_bonus(run, number, options.pause)

    return (run[start:end] for start, end in _cheapest(len(run), prices))


def _break_bonus(run: Sequence[_ShownWord], number: int, pause: float) -> float:
    """Return 0 to 0.5: half a caption may stay empty for a good break after this word."""
    if number + 1 == len(run):
        return 0.0
    if run[number].text.endswith(SENTENCE_ENDS):
        return 0.5
    return 0.5 * min(1.0, (run[number + 1].start - run[number].end) / 1000 / max(pause, 0.001))


def _lines(words: Sequence[_ShownWord], line_length: int) -> Iterator[str]:
    """Yield the words in as few lines as they fit into, of similar lengths."""

    def prices(first: int) -> Iterator[float]:
        """Yield a price per line that is higher than evenness can ever save."""
        length = -1
        for number in range(first, len(words)):
            length += len(words[number].text) + 1
            if number > first and length > line_length:
                return
            yield MOST_WORDS + min(1.0, length / line_length) ** 2

    for start, end in _cheapest(len(words), prices):
        yield " ".join(word.text for word in words[start:end])


def _cheapest(count: int, prices: Callable[[int], Iterator[float]]) -> list[tuple[int, int]]:
    """Find the cheapest way to cut `count` items into ranges (start, end).

    Args:
        count: how many items.
        prices: of the ranges from a start on, of length 1, 2, 3, ... as far as allowed, at least the first.
    """
    best = [0.0] + [math.inf] * count
    begins = [0] * (count + 1)
    for start in range(count):
        for end, price in enumerate(prices(start), start + 1):
            if best[start] + price < best[end]:
                best[end], begins[end] = best[start] + price, start
    cuts = [count]
    while cuts[-1]:
        cuts.append(begins[cuts[-1]])
    return list(itertools.pairwise(reversed(cuts)))
