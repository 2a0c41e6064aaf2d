"""Train with clipped gradients and without (Pascanu, Mikolov & Bengio 2013)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import nn

from speechrnn.tutorials.gradients.flow import weights
from speechrnn.tutorials.gradients.recall import ROWS, Recall, draw_sequences

LETTERS = 8


@dataclass(frozen=True)
class ClippingOptions:
    """One plain recurrent network with large weights; conf/tutorials/gradients.yaml explains the keys."""

    scale: float = field(metadata={"min": 0.0})
    delay: int = field(metadata={"min": 1})
    steps: int = field(metadata={"min": 1})
    learning_rate: float = field(metadata={"min": 0.0, "max": 1000.0})
    norm: float = field(metadata={"min": 0.0})


@dataclass(frozen=True)
class Descent:
    """A training.

    Attributes:
        clip: norm to which a longer gradient is shortened; infinite for no clipping.
        losses: of each step, nats.
        norms: of each step's gradient, before it was clipped.
    """

    learning_rate: float
    clip: float
    losses: list[float]
    norms: list[float]


def descend(options: ClippingOptions, units: int, learning_rate: float, clip: float) -> Descent:
    """Train a plain recurrent network on delayed recall by plain gradient descent."""
    model = Recall("rnn_tanh", LETTERS, units)
    weights(model.layer, "weight_hh_l0").mul_(options.scale)
    optimiser = torch.optim.SGD(model.parameters(), learning_rate)
    losses, norms = [], []
    for _ in range(options.steps):
        inputs, answers = draw_sequences(LETTERS, int(torch.randint(1, options.delay + 1, ())), ROWS)
        loss = F.cross_entropy(model(inputs), answers)
        optimiser.zero_grad()
        loss.backward()
        # The direction stays; a longer gradient is shortened to `clip`.
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), clip).item())
        optimiser.step()
        losses.append(loss.item())
    return Descent(learning_rate, clip, losses, norms=norms)
