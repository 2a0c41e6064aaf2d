"""Training with clipped gradients."""

from __future__ import annotations

import math

import torch

from speechrnn.tutorials.gradients.clipping import ClippingOptions, Descent, descend

OPTIONS = ClippingOptions(scale=1.5, delay=6, steps=8, learning_rate=0.05, norm=0.5)


def train(learning_rate: float, clip: float) -> Descent:
    torch.manual_seed(0)
    return descend(OPTIONS, units=8, learning_rate=learning_rate, clip=clip)


def test_a_limit_that_no_gradient_reaches_changes_nothing() -> None:
    free, wide = train(0.05, math.inf), train(0.05, 1e6)
    assert len(free.losses) == len(free.norms) == OPTIONS.steps
    torch.testing.assert_close(torch.tensor(free.losses), torch.tensor(wide.losses))


def test_norms_are_those_before_clipping() -> None:
    free, clipped = train(0.05, math.inf), train(0.05, 0.01)
    assert clipped.norms[0] == free.norms[0] > 0.01  # the same first gradient


def test_a_clipped_step_is_no_longer_than_learning_rate_times_limit() -> None:
    """With a very small limit the network hardly moves: its losses stay those of a network that does not learn."""
    still, clipped, free = train(0.0, 1.0), train(0.5, 1e-6), train(0.5, math.inf)
    torch.testing.assert_close(torch.tensor(clipped.losses), torch.tensor(still.losses), rtol=1e-4, atol=1e-5)
    assert abs(free.losses[-1] - still.losses[-1]) > 1e-3
