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
    """What a decoder found: labels, and how it comes to prefer them.

    Attributes:
        tokens: label ids without blanks.
        score: what hypotheses are ranked by: `acoustic` plus each of `parts` times its scorer's weight.
        acoustic: log-probability that the acoustic model gives the labels, of all paths in the beam; decoded greedily,
            of the best path, which bounds it from below.
        parts: what each scorer, by its name, adds to it: natural logarithms, before they are weighted.
    """

    tokens: tuple[int, ...]
    score: float
    acoustic: float
    parts: dict[str, float]


@dataclass(frozen=True)
class DecodingResult:
    """What was said in an utterance.

    Attributes:
        words: of the best hypothesis.
        texts: of each hypothesis, the best first.
        hypotheses: at least one.
        frames: of the utterance.
    """

    words: tuple[Word, ...]
    texts: tuple[str, ...]
    hypotheses: tuple[Hypothesis, ...]
    frames: int
