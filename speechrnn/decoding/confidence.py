"""How sure a decoder is of each word, and whether it is right to be so sure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from speechrnn.evaluation.metrics import HIT, align

MOST = 0.999  # no probability is taken for nearer to 0 or 1 than this leaves
STEPS = 100  # of the fit, at most; three numbers take a dozen


@dataclass(frozen=True)
class Calibration:
    """From what a decoder thinks of a word to the probability that the word is right: logistic (Platt 1999).

    confidence = sigmoid(posterior * logit(its share of the N-best) + alignment * logit(its acoustic probability) +
    offset).
    """

    posterior: float = 0.5
    alignment: float = 0.5
    offset: float = 0.0

    def __call__(self, posterior: float, alignment: float) -> float:
        """Of two probabilities, a confidence from 0 to 1."""
        logit = self.posterior * _logit(posterior) + self.alignment * _logit(alignment) + self.offset
        return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, logit))))


def word_posteriors(hypotheses: Sequence[Sequence[str]], scores: Sequence[float]) -> list[float]:
    """Compute the posterior probability of each word of the best hypothesis from the N-best list (Wessel et al. 2001).

    Args:
        hypotheses: words of each, the best first.
        scores: natural logarithms, not normalised.

    Returns:
        for each word of the first hypothesis the share of the hypotheses' probability that has the word in its place.
    """
    best = hypotheses[0]
    highest = max(scores)
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


def fit_calibration(posteriors: Sequence[float], alignments: Sequence[float], right: Sequence[bool]) -> Calibration:
    """The logistic regression of `right` on both probabilities of each word.

    A little weight decay keeps it finite where all words are right; without words, the default.
    """
    if not len(right):
        return Calibration()
    pairs = zip(posteriors, alignments, strict=True)
    inputs = torch.tensor([[_logit(one), _logit(other), 1.0] for one, other in pairs], dtype=torch.float64)
    signs = torch.tensor([1.0 if one else -1.0 for one in right], dtype=torch.float64)
    start = torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64)
    weights = start.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([weights], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = -F.logsigmoid(signs * (inputs @ weights)).sum() + 0.5 * (weights - start).square().sum()
        value.backward()
        return value

    with torch.enable_grad():
        optimiser.step(loss)
    return Calibration(*weights.tolist())


def expected_calibration_error(confidences: Sequence[float], right: Sequence[bool], bins: int = 10) -> float:
    """The mean gap between confidence and share of right words, over bins of like confidence (Guo et al. 2017, eq. 5).

    Args:
        confidences: 0 to 1, of each word.
        right: whether the word was said.
        bins: of equal width.

    Returns:
        0 (as sure as it is right) to 1; 0 without words.
    """
    if not len(right):
        return 0.0
    sure = torch.tensor(list(confidences), dtype=torch.float64)
    correct = torch.tensor([float(one) for one in right], dtype=torch.float64)
    which = (sure * bins).long().clamp(0, bins - 1)

    def sums(values: Tensor) -> Tensor:
        return torch.zeros(bins, dtype=torch.float64).index_add(0, which, values)

    return float((sums(sure) - sums(correct)).abs().sum() / len(correct))


def _logit(probability: float) -> float:
    probability = min(max(probability, 1.0 - MOST), MOST)
    return math.log(probability / (1.0 - probability))
