"""Train networks on delayed recall: read a letter, then noise, then answer which letter it was.

The task by which Hochreiter & Schmidhuber (1997) showed what an LSTM can do. The loss is computed only at the end, so
that a network learns to store the letter only if the gradient reaches back over the whole delay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speechrnn.nn.recurrent import MODULES, RecurrentLayer
from speechrnn.tutorials.gradients.flow import gradient_norms, relative
from speechrnn.tutorials.setting import check_loss

ROWS = 32  # sequences a training step
STREAK = 20  # steps in a row without a wrong answer, after which the delay is learned
TESTED = 512  # sequences on which the accuracy is measured
CLIP = 1.0  # norm to which a longer gradient is shortened


@dataclass(frozen=True)
class RecallOptions:
    """The task and its training; conf/tutorials/gradients.yaml explains the keys."""

    letters: int = field(metadata={"min": 2})
    delays: tuple[int, ...] = field(metadata={"min": 1})
    steps: int = field(metadata={"min": 1})
    learning_rate: float = field(metadata={"min": 0.0, "max": 1000.0})


def draw_sequences(letters: int, delay: int, rows: int) -> tuple[Tensor, Tensor]:
    """Draw sequences: a letter, `delay` noise symbols, and the question.

    Returns:
        inputs (delay + 2, rows, 2 * letters + 1): a 1 at the letter, at one of as many noises, or at the question;
        answers (rows,): the letter.
    """
    answers = torch.randint(letters, (1, rows))
    noise = torch.randint(letters, 2 * letters, (delay, rows))
    question = torch.full((1, rows), 2 * letters)
    return F.one_hot(torch.cat([answers, noise, question]), 2 * letters + 1).float(), answers[0]


class Recall(nn.Module):
    """One recurrent layer, and scores of the letters after the last token."""

    def __init__(self, cell: str, letters: int, units: int) -> None:
        super().__init__()
        self.layer = RecurrentLayer(2 * letters + 1, units, cell, bidirectional=False)
        self.choose = nn.Linear(units, letters)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return scores: (length, rows, 2 * letters + 1) -> (rows, letters)."""
        start = inputs.new_zeros(inputs.shape[1], self.layer.state_size)
        outputs, _ = self.layer.forward_from(inputs, start)
        return self.choose(outputs[-1])


def train(model: Recall, longest: int, options: RecallOptions) -> int | None:
    """Train on delays from 1 to `longest` until the answers stay correct.

    Returns:
        the training steps that this took; None where it did not happen.
    """
    optimiser = torch.optim.Adam(model.parameters(), options.learning_rate)
    streak = 0
    for step in range(1, options.steps + 1):
        delay = int(torch.randint(1, longest + 1, ()))
        inputs, answers = draw_sequences(options.letters, delay, ROWS)
        scores = model(inputs)
        loss = F.cross_entropy(scores, answers)
        check_loss(loss)
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
    """Return the share of correct answers over the longer half of the delays up to `longest`.

    At `longest` alone, a network that oscillates may be correct by chance.
    """
    delays = range(longest - longest // 2, longest + 1)
    right = []
    for delay in delays:
        inputs, answers = draw_sequences(letters, delay, TESTED // len(delays))
        right.append(model(inputs).argmax(1) == answers)
    return torch.cat(right).float().mean().item()


@dataclass(frozen=True)
class RecallResult:
    """A network after training on delayed recall.

    Attributes:
        delay: the longest that it was trained on.
        accuracy: share of correct answers over the longer half of the delays up to it.
        steps: training steps until it was learned; None where it was not.
        before, after: norms of d loss_T / d h_t over the delay, relative to T, before and after training.
    """

    cell: str
    delay: int
    accuracy: float
    steps: int | None
    before: list[float]
    after: list[float]


def run_recall(options: RecallOptions, units: int, cells: Sequence[str] = tuple(MODULES)) -> list[RecallResult]:
    """Train a new network for each kind of cell and each delay."""
    results = []
    for cell in cells:
        for delay in options.delays:
            model = Recall(cell, options.letters, units)
            before = gradient_flow(model, options.letters, delay)
            steps = train(model, delay, options)
            right = accuracy(model, options.letters, delay)
            results.append(
                RecallResult(
                    cell, delay, right, steps=steps, before=before, after=gradient_flow(model, options.letters, delay)
                )
            )
    return results


def gradient_flow(model: Recall, letters: int, delay: int) -> list[float]:
    """Return the norms of the gradient from the question back to the letter, relative to the first."""
    inputs, answers = draw_sequences(letters, delay, ROWS)
    layer, choose = model.layer.double(), model.choose.double()
    norms = gradient_norms(
        [layer], inputs.double(), lambda outputs: F.cross_entropy(choose(outputs), answers, reduction="sum")
    )
    model.float().zero_grad()
    return relative(norms)
