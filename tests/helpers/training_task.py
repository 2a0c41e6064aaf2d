"""A training task of one number, where every outcome can be worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from speechrnn.training.fabric import TrainerOptions, make_fabric
from speechrnn.training.loop import Loop


@dataclass(frozen=True)
class Target:
    """A batch: what the model's number should become."""

    value: float


class Number(nn.Module):
    """A model of one number."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(1))

    def forward(self) -> Tensor:
        return self.value + 0.01 * torch.randn(1)  # noise, as dropout makes it


@dataclass
class Task:
    """Four batches an epoch; `figures` are the dev figures of one epoch after the other."""

    figures: list[float] = field(default_factory=list)
    broken: tuple[tuple[int, int], ...] = ()  # (epoch, batch) whose loss is no number
    model: Number = field(default_factory=Number)
    criterion: str = "dev_wer"
    unit: str = "numbers"
    memory_keys: str = "trainer.batch_seconds (now 45)"
    forward_methods: tuple[str, ...] = ()
    frozen: list[nn.Parameter] = field(default_factory=list)
    carried: Tensor = field(default_factory=lambda: torch.zeros(1))
    seen: list[tuple[int, int]] = field(default_factory=list)
    now: int = 0

    def epoch(self, epoch: int, start: int) -> tuple[int, Iterable[Target]]:
        self.now = epoch
        return 4, (self.note(epoch, batch) for batch in range(start, 4))

    def note(self, epoch: int, batch: int) -> Target:
        self.seen.append((epoch, batch))
        return Target(math.nan if (epoch, batch) in self.broken else 1.0 + batch)

    def largest_batch(self) -> Target:
        return Target(1.0)

    def loss(self, model: nn.Module, batch: Target) -> Tensor:
        return (model() - batch.value).square().sum()

    def weight(self, batch: Target) -> float:
        return 1.0

    def check_loss(self, batch: Target, loss: float) -> None:
        pass

    def amount(self, batch: Target) -> float:
        return 1.0

    def rate_factor(self, batch: Target) -> float:
        return 1.0

    def format_loss(self, loss: float) -> str:
        return f"loss {loss:.3f}"

    def evaluate(self, model: Number) -> dict[str, float]:
        return {"dev_wer": self.figures[self.now]} if self.figures else {}


PLAIN = TrainerOptions(epochs=3, accelerator="cpu", learning_rate=0.1, checkpoint_steps=1)


def make_loop(task: Any, folder: Path, options: TrainerOptions = PLAIN, **fingerprint: object) -> Loop[Any, Any]:
    return Loop(make_fabric(options, folder), task, options, folder=folder / "checkpoints", fingerprint=fingerprint)


class KilledError(Exception):
    """Error that stops a training in these tests."""


def kill_at(loop: Loop[Any, Any], step: int) -> None:
    """Run a training and kill it before a step."""
    take = loop.step

    def step_or_die(batch: Target, done: float) -> None:
        if loop.state.step == step:
            raise KilledError
        take(batch, done)

    loop.step = step_or_die  # type: ignore[method-assign]
    with pytest.raises(KilledError):
        loop.run()
