"""The exponential moving average of a model's weights, which decodes better than any single step's."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

ModelT = TypeVar("ModelT", bound=nn.Module)


class Average(Generic[ModelT]):
    """A copy of a model that follows it slowly (Polyak & Juditsky 1992, with exponential weights).

    Attributes:
        model: the averaged copy, in evaluation mode.
    """

    def __init__(self, model: ModelT, decay: float) -> None:
        """`decay`: share of the old average kept at each step; 0 is the model itself."""
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: ModelT, step: int) -> None:
        """Moves towards the model after optimiser step `step`, counted from 1; early steps fade sooner."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), 1.0 - decay)
