"""The claims of the gradients: they vanish and explode, and clipping helps."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from speechrnn.tutorials.gradients.clipping import ClippingOptions, descend
from speechrnn.tutorials.gradients.flow import gradient_norms, make_stack, measure
from speechrnn.tutorials.setting import repeatable


def left(cell: str, scale: float, depth: int = 1, forget_bias: float = 1.0) -> float:
    with repeatable(1):
        return measure(cell, depth, 32, scale=scale, distance=50, forget_bias=forget_bias).norms[-1]


@pytest.mark.parametrize("depth", [1, 3])
def test_gradients_of_a_plain_rnn_vanish_or_explode(depth: int) -> None:
    assert left("rnn_tanh", 0.5, depth) < 1e-15
    assert left("rnn_tanh", 1.0, depth) < 1e-5
    assert left("rnn_tanh", 4.0, depth) > 1e5


@pytest.mark.parametrize("depth", [1, 3])
def test_those_of_an_lstm_reach_farther(depth: int) -> None:
    assert left("lstm", 1.0, depth) > 1e3 * left("rnn_tanh", 1.0, depth)
    assert left("lstm", 1.0, depth) > 1e3 * left("gru", 1.0, depth)  # whose gates start half open


def test_the_forget_gate_decides_how_far() -> None:
    shares = [left("lstm", 1.0, forget_bias=bias) for bias in (0.0, 1.0, 3.0)]
    assert shares[0] < 1e-8 and shares[1] > 1e3 * shares[0] and shares[2] > 1e-2


def test_the_norms_are_those_of_autograd() -> None:
    torch.manual_seed(0)
    (layer,) = make_stack("rnn_tanh", 1, 4, scale=1.0, forget_bias=1.0)
    inputs = torch.randn(6, 3, 4)
    norms = gradient_norms([layer], inputs, lambda outputs: outputs.square().sum())
    states = [torch.zeros(3, 4)]
    for token in inputs:
        states.append(layer.step(token, states[-1]))
    grads = torch.autograd.grad(states[-1].square().sum(), states[1:])
    assert norms == pytest.approx([grad.norm(dim=1).mean().item() for grad in reversed(grads)])


def test_the_norms_of_an_lstm_are_of_what_it_shows() -> None:
    torch.manual_seed(0)
    (layer,) = make_stack("lstm", 1, 4, scale=1.0, forget_bias=1.0)
    norms = gradient_norms([layer], torch.randn(3, 2, 4), lambda outputs: outputs.sum())
    assert norms[0] == pytest.approx(2.0)  # four ones; the cell's gradient would be another


def test_clipping_learns_where_free_steps_cannot() -> None:
    options = ClippingOptions(scale=2.0, delay=10, steps=300, learning_rate=0.3, norm=1.0)
    losses = {}
    for clip in (1.0, math.inf):
        with repeatable(1):
            descent = descend(options, 32, 0.3, clip=clip)
        losses[clip] = float(np.mean(descent.losses[-50:]))
        assert max(descent.norms) > 5  # gradients did explode, and are reported as they were
    assert losses[1.0] < 0.1 and losses[math.inf] > 1.0


def test_scale_is_by_how_much_the_weights_stretch() -> None:
    for cell, gates in (("rnn_tanh", 1), ("gru", 3), ("lstm", 4)):
        (layer,) = make_stack(cell, 1, 16, scale=1.5, forget_bias=2.0)
        for block in layer.network.weight_hh_l0.detach().chunk(gates):  # type: ignore[operator]
            torch.testing.assert_close(torch.linalg.svdvals(block), torch.full((16,), 1.5))
    assert isinstance(layer.network, nn.LSTM)
    assert (layer.get_parameter("network.bias_ih_l0")[16:32] == 2.0).all()
