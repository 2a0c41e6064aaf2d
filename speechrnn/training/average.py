"""Averages of a model's weights, which predict better than any single step's."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Generic, TypeVar

import torch
from torch import nn

ModelT = TypeVar("ModelT", bound=nn.Module)


class Average(Generic[ModelT]):
    """A copy of a model that follows it slowly (Polyak & Juditsky 1992, with exponential weights).

    Attributes:
        model: the averaged copy, in evaluation mode.
        since: the optimiser step after which averaging began.
    """

    def __init__(self, model: ModelT, decay: float) -> None:
        """`decay`: share of the old average kept at each step; 0 is the model itself."""
        self.decay = decay
        self.since = 0
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: ModelT, step: int) -> None:
        """Moves towards the model after optimiser step `step`, counted from 1; early steps fade sooner."""
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), self.weight(step))

    def weight(self, step: int) -> float:
        """Share of the model in the average after a step."""
        return 1.0 - min(self.decay, (1 + step) / (10 + step))

    def look_back(self, figures: Sequence[float], step: int) -> bool:
        """After each epoch, with the criterion of all so far: whether averaging begins now. Here it always has."""
        return False


class TriggeredAverage(Average[ModelT]):
    """The plain mean of all steps since training stopped getting better: ASGD, non-monotonically triggered.

    NT-ASGD of Merity et al. 2018, algorithm 1 (https://arxiv.org/abs/1708.02182). Until then it is the model itself.
    """

    def __init__(self, model: ModelT, patience: int) -> None:
        """`patience`: averaging begins when an epoch is worse than the best of all but the last so many."""
        super().__init__(model, 0.0)
        self.patience = patience
        self.since = -1

    def weight(self, step: int) -> float:
        """See `Average`."""
        return 1.0 if self.since < 0 else 1.0 / (step - self.since)

    def look_back(self, figures: Sequence[float], step: int) -> bool:
        """See `Average`."""
        begins = self.since < 0 and len(figures) > self.patience and figures[-1] > min(figures[: -self.patience])
        if begins:
            self.since = step
        return begins
