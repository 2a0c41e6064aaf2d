"""Uncertainty of an acoustic model about its labels, in comparison with its dev part.

A network trained on few words gives them high probabilities also where other words are spoken, so that confidences
alone do not show that a recording is unlike the training data; but they are lower than on speech of its own kind. The
measure is the entropy of the
emissions for each label, pooled over a recording: of those tried, it separated singing, other languages and other
vocabularies best (docs/results.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from speechrnn.nn.ctc import BLANK

PRIOR_LABELS = 20  # labels of the dev part that are added to each recording, since few labels are no evidence
FAR = 2.5  # deviations beyond the dev part
LEAST_DEVIATION = 0.05  # least deviation, since a dev part of one voice varies less than other speech
LEAST_UTTERANCES = 10  # least utterances of a dev part from which the deviation is estimated
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True)
class Uncertainty:
    """Sum up the emissions of a recording, or of several.

    >>> Uncertainty(entropy=30.0, labels=20).per_label
    1.5

    Attributes:
        entropy: of the frames' distributions, nats, summed.
        labels: that are decoded greedily.
    """

    entropy: float = 0.0
    labels: int = 0

    def __add__(self, other: Uncertainty) -> Uncertainty:
        return Uncertainty(self.entropy + other.entropy, self.labels + other.labels)

    @property
    def per_label(self) -> float:
        """Return nats a label; where there is no label, all of them."""
        return self.entropy / max(1, self.labels)


@dataclass(frozen=True)
class DevStatistics:
    """Describe the distribution of a model's uncertainty on its dev part.

    >>> dev = DevStatistics(utterances=60, uncertainty=0.3, deviation=0.2)
    >>> dev.is_far(Uncertainty(entropy=120.0, labels=100))
    True

    Attributes:
        utterances: of the dev part.
        uncertainty: nats a label, all utterances together.
        deviation: root mean square of the utterances' `log_ratio`.
        uncertainties: quantiles (`QUANTILES`) of the utterances' nats a label.
    """

    utterances: int = field(metadata={"min": 0})
    uncertainty: float = field(metadata={"min": 0.0, "max": 1e6})
    deviation: float = field(metadata={"min": 0.0, "max": 1e6})
    uncertainties: tuple[float, ...] = ()

    @classmethod
    def of(cls, utterances: Sequence[Uncertainty]) -> DevStatistics:
        """Describe a dev part, given the uncertainty of each utterance."""
        mean = sum(utterances, Uncertainty()).per_label
        ratios = [log_ratio(uncertainty, mean) for uncertainty in utterances]
        return cls(
            utterances=len(utterances),
            uncertainty=mean,
            deviation=math.sqrt(sum(ratio**2 for ratio in ratios) / max(1, len(ratios))),
            uncertainties=quantiles(uncertainty.per_label for uncertainty in utterances),
        )

    def ratio(self, uncertainty: Uncertainty) -> float:
        """Return the model's uncertainty on a recording over that on the dev part."""
        return math.exp(log_ratio(uncertainty, self.uncertainty))

    def is_far(self, uncertainty: Uncertainty) -> bool:
        """Return whether a recording is so unlike the dev part that its words are doubtful."""
        if self.utterances < LEAST_UTTERANCES:
            return False
        return log_ratio(uncertainty, self.uncertainty) > FAR * max(self.deviation, LEAST_DEVIATION)


def log_ratio(uncertainty: Uncertainty, usual: float) -> float:
    """Return the logarithm of a recording's nats a label over the usual ones, nearer to 0 for few labels."""
    usual = max(usual, 1e-6)
    pooled = (uncertainty.entropy + PRIOR_LABELS * usual) / (uncertainty.labels + PRIOR_LABELS)
    return math.log(pooled / usual)


def measure_uncertainty(log_probs: Tensor, frames: Tensor) -> list[Uncertainty]:
    """Measure the uncertainty of each row of a batch.

    >>> measure_uncertainty(torch.tensor([[[0.1, 0.9], [0.5, 0.5]]]).log(), torch.tensor([1]))[0].labels
    1

    Args:
        log_probs: (batch, frames, symbols) natural logarithms.
        frames: (batch,) true frames.
    """
    if not log_probs.shape[1]:
        return [Uncertainty()] * len(frames)
    inside = torch.arange(log_probs.shape[1], device=frames.device) < frames[:, None]
    entropies = torch.special.entr(log_probs.float().exp()).sum(2)  # (batch, frames)
    path = log_probs.argmax(2)
    changes = torch.ones_like(inside)
    changes[:, 1:] = path[:, 1:] != path[:, :-1]
    sums = (entropies * inside).sum(1).tolist()
    labels = (changes & inside & (path != BLANK)).sum(1).tolist()
    return [Uncertainty(*row) for row in zip(sums, labels, strict=True)]


def quantiles(values: Iterable[float]) -> tuple[float, ...]:
    """Return `QUANTILES` of values, interpolated and rounded; () without values."""
    numbers = torch.tensor(list(values), dtype=torch.float64)
    if not len(numbers):
        return ()
    found = torch.quantile(numbers, torch.tensor(QUANTILES, dtype=torch.float64))
    return tuple(round(value, 4) for value in found.tolist())
