"""The plan of a training: where it ends, and which share of the schedule is done at each position.

A position is counted in epochs: 2.5 is the middle of the third epoch. The plan is stored in each checkpoint, so that a
resumed training follows the same schedule, and a changed one goes on from where it stands.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from speechrnn.training.task import State

MEASURED_SECONDS = 60.0  # of training, before a plan for a wall time is made
MEASURED_SHARE = 0.1  # of a short wall time
PATIENCE = (20, 0.1)  # epochs without improvement, where it is `auto`: at least; and as a share of the planned epochs
MOST_WARMUP_STEPS = 2000  # of a warm-up that is chosen by the length of the training


@dataclass(frozen=True)
class Plan:
    """The end of a training, and the schedule that leads there.

    >>> Plan(epochs=4.0, warmup=0.1).progress(1.0)
    0.25

    Attributes:
        epochs: the position at which the training ends.
        warmup: share of the schedule in which the learning rate rises.
        minutes: the wall time that `epochs` was computed from; 0: `epochs` was given.
        start: the position at which the plan was made.
        done: share of the schedule that counts as done there.
    """

    epochs: float
    warmup: float
    minutes: float = 0.0
    start: float = 0.0
    done: float = 0.0

    @classmethod
    def of(cls, state: State) -> Plan | None:
        """Return the plan in the state of a training; None: there is none yet."""
        return cls(**state.plan) if state.plan else None

    def store(self, state: State) -> None:
        """Put the plan into the state of a training."""
        state.plan = asdict(self)

    def progress(self, position: float) -> float:
        """Return the share of the schedule that is done at a position, 0 to 1."""
        if position >= self.epochs:
            return 1.0
        return self.done + (1.0 - self.done) * ((position - self.start) / (self.epochs - self.start))

    def change(self, position: float, epochs: float, warmup: float, minutes: float = 0.0) -> Plan:
        """Return a plan with another end, made at a position.

        Of an earlier end, the schedule goes on from where it stands and ends sooner. Of a later end, it goes back to
        where a schedule of that length would stand, since at the end of a schedule a model hardly learns any more.

        >>> Plan(epochs=4.0, warmup=0.0).change(2.0, epochs=3.0, warmup=0.0).progress(2.0)
        0.5
        >>> Plan(epochs=4.0, warmup=0.0).change(4.0, epochs=8.0, warmup=0.0).progress(4.0)
        0.5
        """
        done = min(self.progress(position), position / epochs) if epochs > position else 1.0
        return Plan(epochs, warmup, minutes, start=position, done=done)


def planned_epochs(epochs: float, min_steps: int, batches: int) -> float:
    """Return the epochs of a training: more than `epochs` where they would make fewer steps than `min_steps`.

    Args:
        batches: of an epoch.
    """
    return float(max(epochs, math.ceil(min_steps / max(batches, 1))))


def chosen_patience(epochs: float) -> int:
    """Return after how many epochs without improvement a training ends, where that is `auto`.

    >>> chosen_patience(9.0), chosen_patience(348.0)
    (20, 35)

    Args:
        epochs: that are planned.
    """
    return max(PATIENCE[0], math.ceil(PATIENCE[1] * epochs))


def is_long_enough(seconds: float, steps: int, minutes: float) -> bool:
    """Return whether a training has gone on for long enough to plan the rest of a wall time.

    >>> is_long_enough(seconds=61.0, steps=300, minutes=60.0), is_long_enough(seconds=7.0, steps=30, minutes=1.0)
    (True, True)
    """
    return steps >= 2 and seconds >= min(MEASURED_SECONDS, MEASURED_SHARE * 60 * minutes)


def epochs_within(seconds: float, position: float, epoch_seconds: float, evaluation_seconds: float) -> float:
    """Return the position that a training reaches within a time; it is evaluated after each epoch and at its end.

    >>> epochs_within(35.0, position=0.0, epoch_seconds=10.0, evaluation_seconds=1.0)
    3.1

    Args:
        seconds: that are left.
        position: where the training stands.
        epoch_seconds: of the training of an epoch.
        evaluation_seconds: of an evaluation.
    """
    boundary = math.floor(position) + 1
    first = (boundary - position) * epoch_seconds + evaluation_seconds
    if seconds < first:
        return position + max(seconds - evaluation_seconds, 0.0) / epoch_seconds
    whole, rest = divmod(seconds - first, epoch_seconds + evaluation_seconds)
    return boundary + whole + max(rest - evaluation_seconds, 0.0) / epoch_seconds
