"""Averages of a model's weights, which predict better than the weights of any single step."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Generic, TypeVar

import torch
from torch import nn

ModelT = TypeVar("ModelT", bound=nn.Module)


class Average(Generic[ModelT]):
    """Exponential moving average of a model's weights (Polyak & Juditsky 1992, with exponential weights).

    Attributes:
        model: the averaged copy, in evaluation mode.
        since: the optimiser step after which averaging began.
    """

    def __init__(self, model: ModelT, decay: float) -> None:
        """Copy the model; `decay` is the share of the old average at each step, 0 for the model itself."""
        self.decay = decay
        self.since = 0
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: ModelT, step: int) -> None:
        """Add the weights after optimiser step `step`, counted from 1; the decay is smaller in the first steps."""
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), self.weight(step))

    def weight(self, step: int) -> float:
        """Return the share of the model in the average after a step."""
        return 1.0 - min(self.decay, (1 + step) / (10 + step))

    def end_epoch(self, criteria: Sequence[float], step: int) -> bool:
        """Return whether averaging begins after an epoch; an exponential average begins with the training.

        Args:
            criteria: the criterion after each epoch so far.
            step: optimiser steps taken.
        """
        return False


class TriggeredAverage(Average[ModelT]):
    """The mean of all steps since the criterion stopped improving: ASGD, non-monotonically triggered.

    Before that it is the model itself.

    Source:
        NT-ASGD of Merity et al. 2018, algorithm 1 (https://arxiv.org/abs/1708.02182).
    """

    def __init__(self, model: ModelT, nonmonotone: int) -> None:
        """Copy the model.

        Args:
            model: the model.
            nonmonotone: the paper's n: averaging begins after an epoch that is worse than the best of all epochs before
                the `nonmonotone` ones that precede it.
        """
        super().__init__(model, 0.0)
        self.nonmonotone = nonmonotone
        self.since = -1

    def weight(self, step: int) -> float:
        """Return the share of the model in the average after a step: all of it, then that of a plain mean."""
        return 1.0 if self.since < 0 else 1.0 / (step - self.since)

    def end_epoch(self, criteria: Sequence[float], step: int) -> bool:
        """Return whether averaging begins after an epoch; see `Average.end_epoch`."""
        earlier = criteria[: -self.nonmonotone - 1]  # the paper's logs[0..t-n-1], where the epoch itself is logs[t]
        begins = self.since < 0 and len(earlier) > 0 and criteria[-1] > min(earlier)
        if begins:
            self.since = step
        return begins
