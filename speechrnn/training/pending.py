"""Optimiser steps whose outcome lies on the device and was not read yet.

To read a number from a GPU stops the stream: the GPU has nothing to do until the next step is queued. Steps on a GPU
are therefore queued one after the other, and their losses are read together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

import torch
from torch import Tensor

from speechrnn.training.task import BatchT

READ_STEPS = 20  # steps whose outcomes are read together


@dataclass(frozen=True)
class PendingStep(Generic[BatchT]):
    """A step that was queued.

    Attributes:
        batch: what it was computed from.
        number: of the batch in its epoch, from 0.
        outcome: (2,) on the device: the loss, and 1 where a loss or gradient of some process was not finite.
        weight: of the batch's loss.
        rate: the learning rate.
    """

    batch: BatchT
    number: int
    outcome: Tensor
    weight: float
    rate: float


@dataclass(frozen=True)
class Outcome(Generic[BatchT]):
    """A step whose outcome was read.

    Attributes:
        step: the step.
        loss: in this process.
        finite: whether loss and gradient were finite in all processes, so that the step was taken.
    """

    step: PendingStep[BatchT]
    loss: float
    finite: bool


def read_outcomes(steps: list[PendingStep[BatchT]]) -> list[Outcome[BatchT]]:
    """Read the outcomes of steps from the device, all at once.

    >>> step = PendingStep("batch", 0, torch.tensor([0.5, 0.0]), weight=1.0, rate=0.1)
    >>> [outcome.loss for outcome in read_outcomes([step])]
    [0.5]
    """
    if not steps:
        return []
    values = torch.stack([step.outcome for step in steps]).tolist()
    return [Outcome(step, loss, broken == 0.0) for step, (loss, broken) in zip(steps, values, strict=True)]


def skip_where(optimiser: torch.optim.Optimizer, broken: Tensor) -> None:
    """Make a fused optimiser's next steps leave weights and state as they are where `broken`, a scalar, is 1.

    It is what torch's gradient scaler does where a gradient overflows; nothing is read from the device.

    >>> weight = torch.nn.Parameter(torch.ones(1))
    >>> optimiser = torch.optim.AdamW([weight], fused=True)
    >>> weight.grad = torch.full((1,), float("nan"))
    >>> skip_where(optimiser, torch.tensor(1.0))
    >>> optimiser.step()
    >>> weight.item()
    1.0
    """
    optimiser.found_inf = broken  # type: ignore[attr-defined]
