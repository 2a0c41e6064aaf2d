"""The interface between the training loop and a kind of model, and the state of a training."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from torch import Tensor, nn

BatchT = TypeVar("BatchT")


ModelT = TypeVar("ModelT", bound=nn.Module)


class Task(Protocol[BatchT, ModelT]):
    """What the loop needs to know of a kind of model.

    Attributes:
        model: the network that is trained.
        criterion: the evaluation figure that should become small.
        unit: of what `amount` counts, for the speed on display.
        advice: what to lower when a batch does not fit into memory.
        carried: what goes from batch to batch besides the weights, in this process, such as a recurrent state.
    """

    model: ModelT
    criterion: str
    unit: str
    advice: str
    carried: Tensor

    def epoch(self, epoch: int, start: int) -> tuple[int, Iterable[BatchT]]:
        """The number of batches of an epoch, and those from the `start`-th on."""
        ...

    def hardest(self) -> BatchT:
        """The batch that needs the most memory."""
        ...

    def loss(self, model: nn.Module, batch: BatchT) -> Tensor:
        """The scalar to minimise; `model` is this task's model, perhaps wrapped for several processes."""
        ...

    def amount(self, batch: BatchT) -> float:
        """How much a batch holds, in units."""
        ...

    def rate(self, batch: BatchT) -> float:
        """Factor of the learning rate for a batch."""
        ...

    def headline(self, loss: float) -> str:
        """A mean training loss as people of the field want to read it."""
        ...

    def evaluate(self, model: ModelT) -> dict[str, float]:
        """Figures on held-out data, the criterion among them; {} where there is no such data."""
        ...


@dataclass
class State:
    """All that a training is: saved whole, restored whole.

    Attributes:
        epoch, batch: where to go on: the next batch of which epoch.
        step: optimiser steps taken.
        loss_sum, counted: sum and number of this epoch's finite losses so far, in this process.
        amount: units of training data seen, in this process.
        nonfinite: losses in a row that were no number.
        history: one record of figures an epoch.
        best, best_epoch: smallest criterion so far, and the last epoch that had it.
        stale: epochs since it became smaller.
        seconds: wall time by what it went to.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    counted: int = 0
    amount: float = 0.0
    nonfinite: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best: float = math.inf
    best_epoch: int = -1
    stale: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: {"data": 0.0, "step": 0.0, "evaluation": 0.0})
