"""The article's study timetable: math, science, English, math ... and days on which nobody saw what was studied.

The network of the article's picture: what was predicted yesterday and what was really studied yesterday are both inputs
of what is predicted for today (an output that is fed back: Jordan 1986). Where yesterday was missed, its prediction
takes the place of the fact. Beside it, the same network without the feedback.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SUBJECTS = ("math", "science", "English")


@dataclass(frozen=True)
class TimetableOptions:
    """The keys of the recipe; conf/study_timetable.yaml explains them."""

    missed: float = field(metadata={"min": 0.0, "max": 0.9})
    changes: float = field(metadata={"min": 0.0, "max": 0.5})
    days: int = field(metadata={"min": 2})
    rows: int = field(metadata={"min": 1})
    steps: int = field(metadata={"min": 1})
    learning_rate: float = field(metadata={"min": 0.0})
    holiday: int = field(metadata={"min": 1})
    seed: int


@dataclass(frozen=True)
class Days:
    """Days of some students, as columns.

    Attributes:
        subjects: (days, students) what was really studied: 0 math, 1 science, 2 English.
        seen: (days, students) whether anyone told: false on a missed day.
    """

    subjects: Tensor
    seen: Tensor

    def told(self) -> Tensor:
        """(days, students, 3) what a network is told: a 1 at the subject, and only zeros on a missed day."""
        return F.one_hot(self.subjects, len(SUBJECTS)).float() * self.seen[..., None]

    def next(self) -> Tensor:
        """(days, students) what the timetable says for the day after."""
        return (self.subjects + 1) % len(SUBJECTS)

    def missed_before(self) -> Tensor:
        """(days, students) how many days in a row, up to this one, were missed."""
        count = torch.zeros_like(self.subjects[0])
        counts = []
        for seen in self.seen:
            count = torch.where(seen, 0, count + 1)
            counts.append(count)
        return torch.stack(counts)


def draw_days(days: int, students: int, missed: float, changes: float) -> Days:
    """Days at random.

    Args:
        missed: share of days that are missed; the first never is.
        changes: share of seen days on which the timetable starts anew with another subject, so that a network does
            well to believe what was really studied more than its own prediction.
    """
    seen = torch.rand(days, students) >= missed
    seen[0] = True
    change = (torch.rand(days, students) < changes) & seen
    first = torch.randint(len(SUBJECTS), (students,))
    # One subject further each day; on a day of change one or two more.
    leaps = change * torch.randint(1, len(SUBJECTS), (days, students))
    return Days((first + torch.arange(days)[:, None] + leaps.cumsum(0)) % len(SUBJECTS), seen)


def holiday(length: int, before: int = 3) -> Days:
    """Three students, who begin with different subjects, see a few days and then miss `length` in a row."""
    days = torch.arange(before + length)[:, None]
    return Days((days + torch.arange(len(SUBJECTS))) % len(SUBJECTS), (days < before).expand(-1, len(SUBJECTS)))


def example() -> Days:
    """24 days of one student, with single missed days, a change on day 13 (counted from 1), and a week away."""
    days = torch.arange(24)[:, None]
    missed = torch.tensor([4, 7, 8, 15, 16, 17, 18, 19])
    return Days((days + (days >= 12)) % len(SUBJECTS), ~torch.isin(days, missed))


class Planner(nn.Module):
    """Votes for tomorrow's subject: by what was studied today and, with feedback, by what was predicted for today."""

    def __init__(self, feedback: bool) -> None:
        super().__init__()
        self.feedback = feedback
        inputs = 2 * len(SUBJECTS) if feedback else len(SUBJECTS)
        self.vote = nn.Linear(inputs, len(SUBJECTS))

    def forward(self, told: Tensor) -> Tensor:
        """(days, students, 3) what was told -> (days, students, 3) the probabilities of the day after each."""
        prediction = told.new_full(told.shape[1:], 1 / len(SUBJECTS))  # before the first day anything may come
        predictions = []
        for today in told:
            inputs = torch.cat([today, prediction], 1) if self.feedback else today
            prediction = self.vote(inputs).softmax(1)
            predictions.append(prediction)
        return torch.stack(predictions)


def train(model: Planner, options: TimetableOptions) -> list[float]:
    """Shows freshly drawn days at each step; gives back the loss of each, in nats a day."""
    optimiser = torch.optim.Adam(model.parameters(), options.learning_rate)
    slower = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.01, options.steps)
    losses = []
    for _ in range(options.steps):
        days = draw_days(options.days, options.rows, options.missed, options.changes)
        predictions = model(days.told())
        # The gradient goes back through all the predictions before: back-propagation through time.
        loss = F.nll_loss(predictions[:-1].flatten(0, 1).log(), days.subjects[1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        slower.step()
        losses.append(loss.item())
    return losses


@dataclass(frozen=True)
class Learnt:
    """What became of one network.

    Attributes:
        losses: of each training step, nats a day.
        accuracy: by the number of days missed in a row before the predicted one, from 0 up: the share of predictions
            that are what the timetable says.
        holiday: (days,) the same on each day of one long holiday, three students who begin differently.
    """

    model: Planner
    losses: list[float]
    accuracy: list[float]
    holiday: list[float]


MOST_MISSED = 4  # days in a row that are told apart in `accuracy`


def learn(feedback: bool, options: TimetableOptions) -> Learnt:
    """Trains one network and looks how it does on other days."""
    model = Planner(feedback)
    losses = train(model, options)
    model.requires_grad_(False)
    days = draw_days(options.days, 500, max(options.missed, 0.5), options.changes)
    right = model(days.told()).argmax(2) == days.next()
    missed = days.missed_before()
    accuracy = [right[missed == count].float().mean().item() for count in range(MOST_MISSED + 1)]
    away = holiday(options.holiday)
    faithful = (model(away.told()).argmax(2) == away.next()).float().mean(1)
    return Learnt(model, losses, accuracy, faithful[-options.holiday - 1 :].tolist())
