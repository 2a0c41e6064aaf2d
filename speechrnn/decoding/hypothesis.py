"""What a decoder returns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    """A recognised word.

    Attributes:
        start, end: seconds from the start of the audio.
        confidence: 0 to 1.
    """

    word: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Hypothesis:
    """One reading of an utterance.

    Attributes:
        tokens: label ids without blanks.
        score: log-probability that the decoder gives it.
    """

    text: str
    tokens: tuple[int, ...]
    score: float
