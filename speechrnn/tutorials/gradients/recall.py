"""Delayed recall: read a letter, then noise for a while, then say which letter it was.

The task by which Hochreiter & Schmidhuber (1997) showed what an LSTM is for. The network gets no error but at the very
end, so it only learns to keep the letter if the gradient reaches back over all of the delay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speechrnn.nn.recurrent import MODULES, RecurrentLayer
from speechrnn.tutorials.gradients.flow import gradient_norms, relative

ROWS = 32  # sequences a training step
STREAK = 20  # steps in a row without a mistake: learnt
TRIED = 512  # sequences that the accuracy is counted on
CLIP = 1.0  # norm of the gradient from which it is shortened


@dataclass(frozen=True)
class RecallOptions:
    """The task and its training; conf/gradients.yaml explains the keys."""

    letters: int = field(metadata={"min": 2})
    delays: tuple[int, ...] = field(metadata={"min": 1})
    steps: int = field(metadata={"min": 1})
    learning_rate: float = field(metadata={"min": 0.0})


def draw(letters: int, delay: int, rows: int) -> tuple[Tensor, Tensor]:
    """Sequences: a letter, `delay` others that mean nothing, and the question.

    Returns:
        inputs (delay + 2, rows, 2 * letters + 1): a 1 at the letter, at one of as many noises, or at the question;
        answers (rows,): the letter.
    """
    answers = torch.randint(letters, (1, rows))
    noise = torch.randint(letters, 2 * letters, (delay, rows))
    question = torch.full((1, rows), 2 * letters)
    return F.one_hot(torch.cat([answers, noise, question]), 2 * letters + 1).float(), answers[0]


class Recall(nn.Module):
    """One recurrent layer, and a choice among the letters after the last token."""

    def __init__(self, cell: str, letters: int, units: int) -> None:
        super().__init__()
        self.layer = RecurrentLayer(2 * letters + 1, units, cell, bidirectional=False)
        self.choose = nn.Linear(units, letters)

    def forward(self, inputs: Tensor) -> Tensor:
        """(length, rows, 2 * letters + 1) -> (rows, letters) scores."""
        start = inputs.new_zeros(inputs.shape[1], self.layer.state_size)
        outputs, _ = self.layer.forward_from(inputs, start)
        return self.choose(outputs[-1])


def train(model: Recall, longest: int, options: RecallOptions) -> int | None:
    """Trains on delays from 1 to `longest` until the answers stay right -> the steps that took; None: never."""
    optimiser = torch.optim.Adam(model.parameters(), options.learning_rate)
    streak = 0
    for step in range(1, options.steps + 1):
        delay = int(torch.randint(1, longest + 1, ()))
        inputs, answers = draw(options.letters, delay, ROWS)
        scores = model(inputs)
        loss = F.cross_entropy(scores, answers)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()
        streak = streak + 1 if bool((scores.argmax(1) == answers).all()) else 0
        if streak == STREAK:
            return step
    return None


@torch.no_grad()
def accuracy(model: Recall, letters: int, longest: int) -> float:
    """Share of right answers over the longer half of the delays up to `longest`.

    Not at `longest` alone: a network that swings to and fro may be right at one delay by chance, and wrong at the next.
    """
    delays = range(longest - longest // 2, longest + 1)
    right = []
    for delay in delays:
        inputs, answers = draw(letters, delay, TRIED // len(delays))
        right.append(model(inputs).argmax(1) == answers)
    return torch.cat(right).float().mean().item()


@dataclass(frozen=True)
class Recalled:
    """What became of one network.

    Attributes:
        delay: the longest that it was trained on.
        accuracy: share of right answers over the longer half of the delays up to it.
        steps: until it was learnt; None: it was not.
        before, after: norms of d loss_T / d h_t over the delay, relative to T, before and after training.
    """

    cell: str
    delay: int
    accuracy: float
    steps: int | None
    before: list[float]
    after: list[float]


def study_recall(options: RecallOptions, units: int, cells: Sequence[str] = tuple(MODULES)) -> list[Recalled]:
    """Each kind of cell learns each delay anew."""
    results = []
    for cell in cells:
        for delay in options.delays:
            model = Recall(cell, options.letters, units)
            before = reach(model, options.letters, delay)
            steps = train(model, delay, options)
            right = accuracy(model, options.letters, delay)
            results.append(Recalled(cell, delay, right, steps, before, reach(model, options.letters, delay)))
    return results


def reach(model: Recall, letters: int, delay: int) -> list[float]:
    """How much of the error at the question comes back over the delay to the letter."""
    inputs, answers = draw(letters, delay, ROWS)
    layer, choose = model.layer.double(), model.choose.double()
    norms = gradient_norms(
        [layer], inputs.double(), lambda outputs: F.cross_entropy(choose(outputs), answers, reduction="sum")
    )
    model.float().zero_grad()
    return relative(norms)
