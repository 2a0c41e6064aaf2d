"""The schedule of a training: which plan it follows, where it stands in it, and when the plan is made or changed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from speechrnn.core.plural import count
from speechrnn.training.fabric import TrainerOptions, sum_over_processes
from speechrnn.training.plan import (
    MOST_WARMUP_STEPS,
    Plan,
    chosen_patience,
    epochs_within,
    is_long_enough,
    planned_epochs,
)
from speechrnn.training.task import State

if TYPE_CHECKING:
    from lightning.fabric import Fabric

logger = logging.getLogger("speechrnn")


class Schedule:
    """The plan of a training, kept in its state. In every method, `size` is the number of batches of the epoch.

    >>> schedule = Schedule(fabric, TrainerOptions(epochs=4), State())  # doctest: +SKIP
    >>> schedule.start(100, 100, lambda: 0.0)  # doctest: +SKIP

    Attributes:
        plan: None until a wall time (`minutes`) is planned, for which the training is measured first.
    """

    def __init__(self, fabric: Fabric, options: TrainerOptions, state: State, capped: bool = False) -> None:
        """Read the plan of the state of a training.

        Args:
            capped: whether the warm-up of a wall time has at most `MOST_WARMUP_STEPS` steps.
        """
        self.fabric = fabric
        self.options = options
        self.state = state
        self.capped = capped
        self.plan = Plan.of(state)

    @property
    def epochs(self) -> float | None:
        """The position at which the training ends; None: it is not known yet."""
        return self.plan.epochs if self.plan is not None else None

    @property
    def warmup(self) -> float:
        """The share of the schedule in which the learning rate rises."""
        return self.plan.warmup if self.plan is not None else self._warmup_of_minutes()

    def start(self, first: int, size: int, time_evaluation: Callable[[], float]) -> None:
        """Make the plan, or change it where the options ask for another end than the stored plan.

        A wall time is planned as soon as the training is measured.

        Args:
            first: the number of batches of the first epoch.
            time_evaluation: return the seconds of an evaluation.
        """
        options = self.options
        if options.minutes is not None:
            if self.is_measured():
                self.plan_minutes(size, time_evaluation())
            return
        epochs = planned_epochs(options.epochs, options.min_steps, first)
        if self.plan is None:
            self._follow(Plan(epochs, options.warmup))
        elif self.plan.minutes or self.plan.epochs != epochs:
            self._follow(self.plan.change(self.position(size), epochs, options.warmup))

    def plan_minutes(self, size: int, evaluation: float) -> Plan:
        """Plan the rest of a wall time from the time of the steps so far.

        Args:
            evaluation: seconds of an evaluation.
        """
        state, options = self.state, self.options
        assert options.minutes is not None
        seconds, position, total = self.elapsed(), self.position(size), 60 * options.minutes
        evaluation = self._mean(evaluation)
        step = self._mean(state.seconds["data"] + state.seconds["step"]) / state.step
        epochs = epochs_within(total - seconds, position, step * size, evaluation_seconds=evaluation)
        warmup = self._warmup_of_minutes()
        logger.info(
            "A step takes %.3g s and an evaluation %.3g s: trainer.minutes=%g is enough for %.4g epochs.",
            step,
            evaluation,
            options.minutes,
            epochs,
        )
        if self.plan is not None:
            return self._follow(self.plan.change(position, epochs, warmup, minutes=options.minutes))
        return self._follow(Plan(epochs, warmup, options.minutes, start=position, done=min(seconds / total, 1.0)))

    def is_measured(self) -> bool:
        """Return whether a wall time is to be planned and the training has gone on for long enough."""
        minutes = self.options.minutes
        if minutes is None or self._is_planned():
            return False
        return is_long_enough(self.elapsed(), self.state.step, minutes)

    def position(self, size: int) -> float:
        """Return where the training stands, in epochs."""
        return self.state.epoch + self.state.batch / max(size, 1)

    def progress(self, size: int) -> float:
        """Return the share of the schedule that is done, 0 to 1; without a plan, that of the wall time."""
        if self.plan is not None:
            return self.plan.progress(self.position(size))
        assert self.options.minutes is not None
        return min(self.elapsed() / (60 * self.options.minutes), 1.0)

    def has_ended(self, size: int) -> bool:
        """Return whether the end of the plan is reached."""
        return self._is_planned() and self.plan is not None and self.position(size) >= self.plan.epochs

    @property
    def patience(self) -> int | None:
        """After how many epochs without improvement the training ends; None: never, or not known yet."""
        if self.options.patience != "auto":
            return self.options.patience
        return chosen_patience(self.plan.epochs) if self.plan is not None else None

    def has_stopped(self) -> bool:
        """Return whether the criterion has not improved for as many epochs as the patience."""
        return self.patience is not None and self.state.stale >= self.patience

    def log_stop(self) -> None:
        """Log why the training ends, where it ends before its plan does."""
        if self.has_stopped() and self.epochs is not None and not self.has_ended(1):
            logger.info(
                "The training ends after %d of %.4g epochs: %s in a row have brought nothing better than epoch %d "
                "(trainer.patience=%s); with trainer.patience=null it goes on.",
                self.state.epoch,
                self.epochs,
                count(self.state.stale, "epoch"),
                self.state.best_epoch,
                self.options.patience,
            )

    def elapsed(self) -> float:
        """Return the wall time of the training so far in seconds, the same in all processes."""
        return self._mean(sum(self.state.seconds.values()))

    def _warmup_of_minutes(self) -> float:
        """Return the warm-up of a training with a wall time; its number of steps is estimated from those so far."""
        seconds, minutes = self.elapsed(), self.options.minutes
        if not self.capped or minutes is None or seconds <= 0.0:
            return self.options.warmup
        return min(self.options.warmup, MOST_WARMUP_STEPS / max(self.state.step / seconds * 60 * minutes, 1.0))

    def _follow(self, plan: Plan) -> Plan:
        """Follow a plan from here on, and log a change of the end."""
        earlier, self.plan = self.plan, plan
        plan.store(self.state)
        if earlier is not None and plan.epochs <= plan.start:
            logger.info(
                "The training was planned for %.4g epochs, has done %.4g, and ends here: it is asked for %s.",
                earlier.epochs,
                plan.start,
                f"trainer.minutes={plan.minutes:g}" if plan.minutes else f"trainer.epochs={plan.epochs:g}",
            )
        elif earlier is not None:
            if plan.epochs > earlier.epochs:
                self.state.stale = 0  # a training that had stopped early goes on
            logger.info(
                "The training was planned for %.4g epochs and ends after %.4g now; from %.4g epochs on the learning "
                "rate follows the new plan.",
                earlier.epochs,
                plan.epochs,
                plan.start,
            )
        return plan

    def _is_planned(self) -> bool:
        """Return whether there is a plan for what the options ask for."""
        return self.plan is not None and self.plan.minutes == (self.options.minutes or 0.0)

    def _mean(self, value: float) -> float:
        """Return the mean of a number over all processes."""
        values = torch.tensor([value], dtype=torch.float64, device=self.fabric.device)
        return float(sum_over_processes(self.fabric, values)) / self.fabric.world_size
