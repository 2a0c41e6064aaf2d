"""Steps on a device: their outcomes are read together, and the device skips what is not finite."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from speechrnn.training.optimiser import make_optimiser
from speechrnn.training.pending import PendingStep, read_outcomes, skip_where


def test_outcomes_are_read_in_the_order_of_the_steps() -> None:
    steps = [
        PendingStep(name, number, torch.tensor([loss, broken]), weight=1.0, rate=0.1)
        for number, (name, loss, broken) in enumerate([("a", 1.5, 0.0), ("b", math.nan, 1.0), ("c", 2.5, 1.0)])
    ]
    outcomes = read_outcomes(steps)
    assert [outcome.step.batch for outcome in outcomes] == ["a", "b", "c"]
    assert [outcome.finite for outcome in outcomes] == [True, False, False]
    assert outcomes[0].loss == 1.5 and math.isnan(outcomes[1].loss)
    assert read_outcomes([]) == []


@pytest.mark.parametrize("kind", ["adamw", "nt_asgd"])
def test_a_skipped_step_leaves_weights_and_state(kind: str) -> None:
    """Three steps of which the second is broken end where two steps do."""
    values = []
    for broken in ((0.0, 1.0, 0.0), (0.0, 0.0)):
        layer = nn.Linear(3, 2)
        with torch.no_grad():
            layer.weight.fill_(0.5)
            layer.bias.fill_(0.1)
        optimiser = make_optimiser(layer, kind, 0.1, betas=(0.9, 0.98), weight_decay=0.1)
        for flag in broken:
            for parameter in layer.parameters():
                parameter.grad = torch.full_like(parameter, math.nan if flag else 0.3)
            skip_where(optimiser, torch.tensor(flag))
            optimiser.step()
        values.append(torch.cat([parameter.detach().flatten() for parameter in layer.parameters()]))
    assert torch.equal(values[0], values[1])
