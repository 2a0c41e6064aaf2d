"""Word confidences: posteriors from N-best lists, and their calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from speechrnn.decoding.hypothesis import ConfidenceFeatures
from speechrnn.evaluation.metrics import HIT, align

MOST = 0.999  # probabilities are clipped to [1 - MOST, MOST] before their logits are taken
STEPS = 100  # most iterations of the fit; three parameters take about a dozen


@dataclass(frozen=True)
class Calibration:
    """Map the features of a word to the probability that the word is correct: logistic regression (Platt 1999).

    confidence = sigmoid(posterior * logit(word posterior) + alignment * logit(acoustic probability) + offset).

    Attributes:
        posterior: weight of the logit of the word's posterior.
        alignment: weight of the logit of the word's acoustic probability.
        offset: added to both.

    >>> round(Calibration(posterior=1.0, alignment=0.0)(0.8, 0.3), 3)
    0.8
    """

    posterior: float = 0.5
    alignment: float = 0.5
    offset: float = 0.0

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.posterior, self.alignment, self.offset))):
            raise ValueError("the weights of a calibration must be finite numbers")

    def __call__(self, posterior: float, alignment: float) -> float:
        """Return the confidence, 0 to 1, of a word with these features; see `ConfidenceFeatures`."""
        logit = self.posterior * _logit(posterior) + self.alignment * _logit(alignment) + self.offset
        return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, logit))))


def word_posteriors(hypotheses: Sequence[Sequence[str]], scores: Sequence[float]) -> list[float]:
    """Compute the posterior probability of each word of the best hypothesis from the N-best list (Wessel et al. 2001).

    Args:
        hypotheses: words of each, the best first.
        scores: natural logarithms, not normalised; finite, or -inf for impossible hypotheses, whose weight is 0.

    Returns:
        for each word of the first hypothesis the share of the hypotheses' probability that has the word in its place.

    Raises:
        ValueError: NaN, or no finite score.

    >>> [round(share, 2) for share in word_posteriors([["GO", "HOME"], ["GO"]], [math.log(0.6), math.log(0.2)])]
    [1.0, 0.75]
    """
    best = hypotheses[0]
    highest = max(scores)
    if not math.isfinite(highest) or any(map(math.isnan, scores)):
        raise ValueError(f"word posteriors need finite scores, not {list(scores)}")
    shares = [math.exp(score - highest) for score in scores]
    total = sum(shares)
    sums = [0.0] * len(best)
    for words, share in zip(hypotheses, shares, strict=True):
        place = 0
        for edit in align(best, words):
            if edit.op == HIT:
                sums[place] += share / total
            place += edit.reference is not None
    return [min(1.0, value) for value in sums]


def fit_calibration(
    features: Sequence[ConfidenceFeatures], correct: Sequence[bool], start: Calibration | None = None
) -> Calibration:
    """Fit a logistic regression of `correct` on the features of words.

    Args:
        features: of each word.
        correct: whether each word is right.
        start: calibration towards which a small weight decay acts, so that the fit stays finite where all words are
            correct; the result if there are no words. None: `Calibration()`.
    """
    start = start or Calibration()
    if not len(correct):
        return start
    rows = [[_logit(word.posterior), _logit(word.alignment), 1.0] for word in features]
    inputs = torch.tensor(rows, dtype=torch.float64)
    signs = torch.tensor([1.0 if right else -1.0 for right in correct], dtype=torch.float64)
    centre = torch.tensor([start.posterior, start.alignment, start.offset], dtype=torch.float64)
    weights = centre.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([weights], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = -F.logsigmoid(signs * (inputs @ weights)).sum() + 0.5 * (weights - centre).square().sum()
        value.backward()
        return value

    with torch.enable_grad():
        optimiser.step(loss)
    return Calibration(*weights.tolist())


def expected_calibration_error(confidences: Sequence[float], correct: Sequence[bool], bins: int = 10) -> float:
    """Compute the mean gap between confidence and accuracy over bins of equal width (Guo et al. 2017, equation 5).

    Args:
        confidences: 0 to 1, of each word.
        correct: whether each word is right.
        bins: number of bins.

    Returns:
        0 (confidences are accurate) to 1; 0 without words.

    >>> expected_calibration_error([0.9, 0.9], [True, False])
    0.4
    """
    if not len(correct):
        return 0.0
    confidence = torch.tensor(list(confidences), dtype=torch.float64)
    accuracy = torch.tensor([float(right) for right in correct], dtype=torch.float64)
    which = (confidence * bins).long().clamp(0, bins - 1)

    def sums(values: Tensor) -> Tensor:
        return torch.zeros(bins, dtype=torch.float64).index_add(0, which, values)

    return float((sums(confidence) - sums(accuracy)).abs().sum() / len(correct))


def _logit(probability: float) -> float:
    probability = min(max(probability, 1.0 - MOST), MOST)
    return math.log(probability / (1.0 - probability))
