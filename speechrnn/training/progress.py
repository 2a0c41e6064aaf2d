"""Progress of a training: a bar in a terminal, and a line for each epoch in the log."""

from __future__ import annotations

import logging
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

import torch

from speechrnn.core.plural import count
from speechrnn.core.progress import in_words

if TYPE_CHECKING:
    from speechrnn.training.task import State, Task

logger = logging.getLogger("speechrnn")
ESTIMATE_AFTER = 20.0  # seconds of training, after which the rest is estimated


class Progress:
    """Show epoch, loss, speed, the last dev figure and the time left. Use as a context manager."""

    def __init__(self, epochs: float | None, state: State, task: Task[Any, Any], visible: bool) -> None:
        """Prepare the bar.

        Args:
            epochs: of the whole training; None: not known yet.
            state: from which the training starts.
            task: how its figures are shown.
            visible: whether this process shows anything; the bar needs a terminal besides.
        """
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self.epochs = epochs
        self.training_task = task
        self.visible = visible
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        self.processes = torch.distributed.get_world_size() if distributed else 1
        self.began = time.monotonic()
        self.done_before = float(state.epoch)
        self.steps = 0
        self.first_step = self.began  # when it ended; it takes longer than others
        self.estimated = False
        self.bar = Bar(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.fields[loss]}  {task.fields[speed]}  dev {task.fields[dev]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not (visible and sys.stderr.isatty()),
        )
        self.bar_task = self.bar.add_task("", total=epochs, completed=state.epoch, epoch="", loss="", speed="", dev="-")

    def __enter__(self) -> Progress:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def set_epochs(self, epochs: float) -> None:
        """Set the epochs of the whole training, when they are known or have changed."""
        self.epochs = epochs
        self.bar.update(self.bar_task, total=epochs)

    def total(self) -> str:
        """Return the epochs of the whole training as text."""
        return "?" if self.epochs is None else f"{round(self.epochs, 1):g}"

    def step(self, state: State, size: int) -> None:
        """Update the bar after a batch; `size` is the number of batches of the epoch."""
        self.bar.update(
            self.bar_task,
            completed=state.epoch + state.batch / size,
            epoch=f"{state.epoch + 1}/{self.total()}",
            loss=self.training_task.format_loss(state.loss_sum / max(state.counted, 1e-9)),
            speed=self.speed(state),
        )
        self.steps += 1
        if self.steps == 1:
            self.first_step = time.monotonic()
        if not self.estimated:
            self.estimate(state, size)

    def estimate(self, state: State, size: int) -> None:
        """Log the time that the whole training will take, once, from the steps of its first seconds."""
        now = time.monotonic()
        if now - self.began < ESTIMATE_AFTER or self.epochs is None:
            return
        step = now - self.began if self.steps == 1 else (now - self.first_step) / (self.steps - 1)
        left = max(round((self.epochs - state.epoch) * size - state.batch), 0)
        self.estimated = True
        if self.visible and left:
            logger.info(
                "About %s to go: %s of %s, evaluations not counted.",
                in_words(left * step),
                count(left, "step"),
                in_words(step),
            )

    def speed(self, state: State) -> str:
        """Return the amount of training data a second of all processes, without evaluations, as text."""
        seconds = state.seconds["data"] + state.seconds["step"]
        return f"{self.processes * state.amount / max(seconds, 1e-9):,.0f} {self.training_task.unit}/s"

    def epoch(self, state: State, better: bool) -> None:
        """Log the figures of an epoch; `better` marks the best one so far."""
        self.estimated = self.estimated or self.epochs is not None  # this line says what is left
        record = state.history[-1]
        figures = "  ".join(f"{name} {value:.4f}" for name, value in record.items() if name not in ("epoch", "step"))
        elapsed = time.monotonic() - self.began
        epochs = self.epochs if self.epochs is not None else state.epoch
        left = elapsed / (state.epoch - self.done_before) * max(epochs - state.epoch, 0.0)
        self.bar.update(self.bar_task, dev=f"{record.get(self.training_task.criterion, float('nan')):.4f}")
        if self.visible:
            best = "  (best)" if better else ""
            logger.info(
                "epoch %d/%s  %s  %s  %s left%s",
                state.epoch,
                self.total(),
                figures,
                self.speed(state),
                in_words(left),
                best,
            )
