"""The optimisers, and the schedule of the learning rate."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from speechrnn.training.optimiser import make_optimiser, rate_at


@given(progress=st.floats(0, 1), warmup=st.floats(0, 1), final=st.floats(0, 0.1))
def test_the_rate_stays_between_its_end_and_its_peak(progress: float, warmup: float, final: float) -> None:
    assert final - 1e-12 <= rate_at(progress, warmup, final) <= 1.0 + 1e-12


@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5])
def test_the_rate_rises_to_the_peak_and_then_falls_to_its_end(warmup: float) -> None:
    rates = [rate_at(step / 1000, warmup) for step in range(1001)]
    peak = rates.index(max(rates))
    assert peak == round(1000 * warmup) and rates[peak] == 1.0
    assert rates[:peak] == sorted(rates[:peak]) and rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] == pytest.approx(0.001)


@pytest.mark.parametrize(("kind", "matrix", "bias"), [("adamw", 0.9, 1.0), ("nt_asgd", 0.9, 0.9)])
def test_weight_decay_acts_on_matrices_and_with_sgd_on_all(kind: str, matrix: float, bias: float) -> None:
    layer = nn.Linear(2, 2)
    for parameter in layer.parameters():
        nn.init.ones_(parameter)
        parameter.grad = torch.zeros_like(parameter)
    make_optimiser(layer, kind, learning_rate=0.1, betas=(0.0, 0.99), weight_decay=1.0).step()
    assert layer.weight[0, 0].item() == pytest.approx(matrix) and layer.bias[0].item() == pytest.approx(bias)


def test_parameters_without_gradients_are_left_out() -> None:
    layer = nn.Linear(2, 2)
    layer.bias.requires_grad_(False)
    optimiser = make_optimiser(layer, "adamw", learning_rate=0.1, betas=(0.9, 0.99), weight_decay=0.1)
    assert sum(len(group["params"]) for group in optimiser.param_groups) == 1


def test_rate_rises_then_falls() -> None:
    assert rate_at(0.05, warmup=0.1) == pytest.approx(0.5)
    assert rate_at(0.1, warmup=0.1) == pytest.approx(1.0)
    assert rate_at(0.55, warmup=0.1) == pytest.approx(0.5005)
    assert rate_at(1.0, warmup=0.1) == pytest.approx(0.001)
    assert rate_at(0.0, warmup=0.0) == pytest.approx(1.0)


def test_only_matrices_decay() -> None:
    groups = make_optimiser(nn.Linear(2, 3), "adamw", 1e-3, betas=(0.9, 0.98), weight_decay=0.1).param_groups
    assert [(group["weight_decay"], [p.ndim for p in group["params"]]) for group in groups] == [(0.1, [2]), (0.0, [1])]
