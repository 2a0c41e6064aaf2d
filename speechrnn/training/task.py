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
    """A model and its data, as the training loop needs them.

    >>> task: Task = AcousticTask(fabric, settings, tokenizer, train, dev)  # doctest: +SKIP
    >>> Loop(fabric, task, settings.trainer, folder, fingerprint).run()  # doctest: +SKIP

    Attributes:
        model: the network that is trained.
        criterion: name of the evaluation figure that should become small.
        unit: unit of `amount`, for the speed that is displayed.
        memory_keys: keys to lower when a batch does not fit into memory, with their values.
        forward_methods: names of the model's methods that compute what the loss needs, besides `forward`.
        frozen: parameters that the first `trainer.frozen_steps` steps leave as they are.
        carried: (rows, size) state that goes from batch to batch besides the weights, in this process.
    """

    model: ModelT
    criterion: str
    unit: str
    memory_keys: str
    forward_methods: tuple[str, ...]
    frozen: list[nn.Parameter]
    carried: Tensor

    def epoch(self, epoch: int, start: int) -> tuple[int, Iterable[BatchT]]:
        """Return the number of batches of an epoch, and its batches from number `start` on."""
        ...

    def largest_batch(self) -> BatchT:
        """Return the batch that needs the most memory."""
        ...

    def loss(self, model: nn.Module, batch: BatchT) -> Tensor:
        """Return the scalar to minimise; `model` is this task's model, perhaps wrapped for several processes."""
        ...

    def weight(self, batch: BatchT) -> float:
        """Return the weight of a batch's loss, 0 to 1: 1 for a full batch, 0 for one with nothing to learn from."""
        ...

    def check_loss(self, batch: BatchT, loss: float) -> None:
        """Warn of a loss that is finite but so large that the data must be wrong."""
        ...

    def amount(self, batch: BatchT) -> float:
        """Return how much training data a batch holds, in units."""
        ...

    def rate_factor(self, batch: BatchT) -> float:
        """Return the factor of the learning rate for a batch."""
        ...

    def format_loss(self, loss: float) -> str:
        """Return a mean training loss as text, as people of the field read it."""
        ...

    def evaluate(self, model: ModelT) -> dict[str, float]:
        """Return figures on held-out data, the criterion among them; {} where there is no such data."""
        ...


@dataclass
class State:
    """The state of a training besides weights and optimiser: saved and restored as a whole.

    >>> State().step
    0

    Attributes:
        epoch: the current epoch, from 0.
        batch: the next batch of it.
        step: optimiser steps taken.
        loss_sum: weighted sum of this epoch's finite losses so far, in this process.
        counted: sum of their weights.
        amount: units of training data read, in this process.
        nonfinite: losses in a row that were no finite number.
        history: one record of figures for each epoch.
        best: smallest criterion so far.
        best_epoch: the last epoch that had it, from 1.
        stale: epochs since the criterion became smaller.
        seconds: wall time by purpose.
        plan: the fields of a `plan.Plan`; {}: there is none yet.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    counted: float = 0.0
    amount: float = 0.0
    nonfinite: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best: float = math.inf
    best_epoch: int = -1
    stale: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: {"data": 0.0, "step": 0.0, "evaluation": 0.0})
    plan: dict[str, float] = field(default_factory=dict)
