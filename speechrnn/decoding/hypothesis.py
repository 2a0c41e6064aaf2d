"""Results of decoding: words with times, hypotheses with scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Word:
    """A recognised word.

    Attributes:
        word: its text.
        start: seconds from the start of the audio.
        end: seconds from the start of the audio.
        confidence: estimated probability that the word is correct, 0 to 1.

    >>> Word("TUNA", 0.51, 0.93, 0.98).word
    'TUNA'
    """

    word: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Hypothesis:
    """A label sequence and its scores; all numbers are finite.

    >>> Hypothesis((1, 2), score=-3.5, acoustic=-2.5, parts={"language_model": -2.0}).parts["language_model"]
    -2.0

    Attributes:
        tokens: label ids without blanks.
        score: hypotheses are ranked by it: `acoustic` plus each of `parts` times its scorer's weight.
        acoustic: log-probability of the labels (with `open_word`) under the acoustic model: of all paths in the beam;
            decoded greedily, of the best path, which is a lower bound.
        parts: log-probability from each scorer by its name (natural logarithms, before weighting).
        open_word: labels that the audio ends with and that are no part of `tokens`, since they form no word that the
            scorers allow.
    """

    tokens: tuple[int, ...]
    score: float
    acoustic: float
    parts: dict[str, float]
    open_word: tuple[int, ...] = ()


class ConfidenceFeatures(NamedTuple):
    """The probabilities of a word from which a calibration computes its confidence.

    Attributes:
        posterior: share of the hypotheses' probability that has the word; 0.5 (no evidence) decoded greedily.
        alignment: geometric mean of the acoustic probabilities of the word's labels.
    """

    posterior: float
    alignment: float


@dataclass(frozen=True)
class DecodingResult:
    """The words and hypotheses of an utterance.

    >>> best = Hypothesis((1,), score=-0.1, acoustic=-0.1, parts={})
    >>> DecodingResult((Word("A", 0.0, 0.1, 0.9),), ("A",), (best,), frames=10).texts[0]
    'A'

    Attributes:
        words: of the best hypothesis.
        texts: of each hypothesis, the best first; no text twice.
        hypotheses: at least one.
        frames: number of frames of the utterance.
        features: of each word, before calibration.
    """

    words: tuple[Word, ...]
    texts: tuple[str, ...]
    hypotheses: tuple[Hypothesis, ...]
    frames: int
    features: tuple[ConfidenceFeatures, ...] = ()
