"""Train networks on the study timetable of the article "Recurrent Neural Networks": math, science, English, math, ...

On some days the subject is not known. The network's inputs are the subject of today and its own prediction for today
(an output that is fed back: Jordan 1986); where the subject is not known, the prediction takes its place. A second
network has no feedback.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speechrnn.tutorials.setting import check_loss

SUBJECTS = ("math", "science", "English")


@dataclass(frozen=True)
class TimetableOptions:
    """The keys of the recipe; conf/tutorials/study_timetable.yaml explains them."""

    missed: float = field(metadata={"min": 0.0, "max": 0.9})
    changes: float = field(metadata={"min": 0.0, "max": 0.5})
    days: int = field(metadata={"min": 2})
    rows: int = field(metadata={"min": 1})
    steps: int = field(metadata={"min": 1})
    learning_rate: float = field(metadata={"min": 0.0, "max": 1000.0})
    holiday: int = field(metadata={"min": 1})
    seed: int


@dataclass(frozen=True)
class Days:
    """Days of some students, as columns.

    Attributes:
        subjects: (days, students) 0 math, 1 science, 2 English.
        seen: (days, students) false on a missed day, whose subject is not an input.
    """

    subjects: Tensor
    seen: Tensor

    def inputs(self) -> Tensor:
        """Return (days, students, 3): 1 at the subject, only zeros on a missed day."""
        return F.one_hot(self.subjects, len(SUBJECTS)).float() * self.seen[..., None]

    def next(self) -> Tensor:
        """Return (days, students) the timetable's subject of the day after."""
        return (self.subjects + 1) % len(SUBJECTS)

    def missed_before(self) -> Tensor:
        """Return (days, students) how many days in a row, up to this one, were missed."""
        count = torch.zeros_like(self.subjects[0])
        counts = []
        for seen in self.seen:
            count = torch.where(seen, 0, count + 1)
            counts.append(count)
        return torch.stack(counts)


def draw_days(days: int, students: int, missed: float, changes: float) -> Days:
    """Draw random days.

    Args:
        missed: share of missed days; the first day is never missed.
        changes: share of seen days on which the timetable starts again with another subject, so that the real subject
            is better evidence than the prediction.
    """
    seen = torch.rand(days, students) >= missed
    seen[0] = True
    change = (torch.rand(days, students) < changes) & seen
    first = torch.randint(len(SUBJECTS), (students,))
    # One subject further each day; on a day of change one or two more.
    jumps = change * torch.randint(1, len(SUBJECTS), (days, students))
    return Days((first + torch.arange(days)[:, None] + jumps.cumsum(0)) % len(SUBJECTS), seen)


def holiday(length: int, before: int = 3) -> Days:
    """Return days of three students who begin with different subjects and then miss `length` days in a row."""
    days = torch.arange(before + length)[:, None]
    return Days((days + torch.arange(len(SUBJECTS))) % len(SUBJECTS), (days < before).expand(-1, len(SUBJECTS)))


def example_days() -> Days:
    """Return 24 days of one student with single missed days, a change on day 13 (counted from 1) and a week missed."""
    days = torch.arange(24)[:, None]
    missed = torch.tensor([4, 7, 8, 15, 16, 17, 18, 19])
    return Days((days + (days >= 12)) % len(SUBJECTS), ~torch.isin(days, missed))


class Planner(nn.Module):
    """Predict tomorrow's subject from today's subject and, with feedback, from the prediction for today."""

    def __init__(self, feedback: bool) -> None:
        super().__init__()
        self.feedback = feedback
        inputs = 2 * len(SUBJECTS) if feedback else len(SUBJECTS)
        self.vote = nn.Linear(inputs, len(SUBJECTS))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the probabilities of the next day's subject after each day, (days, students, 3), from the inputs."""
        prediction = inputs.new_full(inputs.shape[1:], 1 / len(SUBJECTS))  # before the first day anything may come
        predictions = []
        for today in inputs:
            inputs = torch.cat([today, prediction], 1) if self.feedback else today
            prediction = self.vote(inputs).softmax(1)
            predictions.append(prediction)
        return torch.stack(predictions)


def train(model: Planner, options: TimetableOptions) -> list[float]:
    """Train on new random days at each step.

    Returns:
        the loss of each step, nats a day.
    """
    optimiser = torch.optim.Adam(model.parameters(), options.learning_rate)
    slower = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.01, options.steps)
    losses = []
    for _ in range(options.steps):
        days = draw_days(options.days, options.rows, options.missed, changes=options.changes)
        predictions = model(days.inputs())
        # The gradient goes back through all the predictions before: back-propagation through time.
        loss = F.nll_loss(predictions[:-1].flatten(0, 1).log(), days.subjects[1:].flatten())
        check_loss(loss)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        slower.step()
        losses.append(loss.item())
    return losses


@dataclass(frozen=True)
class TrainedNetwork:
    """A network after training.

    Attributes:
        losses: of each training step, nats a day.
        accuracy: share of predictions that are the timetable's subject, by the number of days missed in a row before
            the predicted one, from 0.
        holiday: (days,) the same on each day of one long holiday, for three students who begin differently.
    """

    model: Planner
    losses: list[float]
    accuracy: list[float]
    holiday: list[float]


MOST_MISSED = 4  # days in a row that are inputs apart in `accuracy`


def train_and_test(feedback: bool, options: TimetableOptions) -> TrainedNetwork:
    """Train a network and test it on other days."""
    model = Planner(feedback)
    losses = train(model, options)
    model.requires_grad_(False)
    days = draw_days(options.days, 500, max(options.missed, 0.5), changes=options.changes)
    right = model(days.inputs()).argmax(2) == days.next()
    missed = days.missed_before()
    counts = [count for count in range(MOST_MISSED + 1) if bool((missed == count).any())]  # few days have fewer
    accuracy = [right[missed == count].float().mean().item() for count in counts]
    away = holiday(options.holiday)
    faithful = (model(away.inputs()).argmax(2) == away.next()).float().mean(1)
    return TrainedNetwork(model, losses, accuracy, holiday=faithful[-options.holiday - 1 :].tolist())
