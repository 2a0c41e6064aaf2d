"""The claims of the gradients: they vanish and explode, clipping helps, and an LSTM learns what a plain RNN cannot."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from speechrnn.tutorials.gradients.clipping import ClippingOptions, descend
from speechrnn.tutorials.gradients.flow import gradient_norms, make_stack, measure
from speechrnn.tutorials.gradients.recall import (
    Recall,
    RecallOptions,
    RecallResult,
    accuracy,
    draw_sequences,
    gradient_flow,
    run_recall,
)
from speechrnn.tutorials.setting import repeatable

LETTERS, SHORT, LONG = 12, 10, 40


def left(cell: str, scale: float, depth: int = 1, forget_bias: float = 1.0) -> float:
    with repeatable(1):
        return measure(cell, depth, 32, scale, 50, forget_bias).norms[-1]


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
    (layer,) = make_stack("rnn_tanh", 1, 4, 1.0, 1.0)
    inputs = torch.randn(6, 3, 4)
    norms = gradient_norms([layer], inputs, lambda outputs: outputs.square().sum())
    states = [torch.zeros(3, 4)]
    for token in inputs:
        states.append(layer.step(token, states[-1]))
    grads = torch.autograd.grad(states[-1].square().sum(), states[1:])
    assert norms == pytest.approx([grad.norm(dim=1).mean().item() for grad in reversed(grads)])


def test_the_norms_of_an_lstm_are_of_what_it_shows() -> None:
    torch.manual_seed(0)
    (layer,) = make_stack("lstm", 1, 4, 1.0, 1.0)
    norms = gradient_norms([layer], torch.randn(3, 2, 4), lambda outputs: outputs.sum())
    assert norms[0] == pytest.approx(2.0)  # four ones; the cell's gradient would be another


def test_clipping_learns_where_free_steps_cannot() -> None:
    options = ClippingOptions(scale=2.0, delay=10, steps=300, learning_rate=0.3, norm=1.0)
    losses = {}
    for clip in (1.0, math.inf):
        with repeatable(1):
            descent = descend(options, 32, 0.3, clip)
        losses[clip] = float(np.mean(descent.losses[-50:]))
        assert max(descent.norms) > 5  # gradients did explode, and are reported as they were
    assert losses[1.0] < 0.1 and losses[math.inf] > 1.0


@pytest.fixture(scope="module")
def recalled() -> dict[tuple[str, int], RecallResult]:
    with repeatable(1):
        results = run_recall(RecallOptions(LETTERS, (SHORT, LONG), 600, 0.01), 32, ("lstm", "rnn_tanh"))
    return {(item.cell, item.delay): item for item in results}


@pytest.mark.integration
def test_an_lstm_recalls_over_a_delay_that_a_plain_rnn_does_not_bridge(
    recalled: dict[tuple[str, int], RecallResult],
) -> None:
    assert recalled["rnn_tanh", SHORT].accuracy > 0.98 and recalled["rnn_tanh", SHORT].steps is not None
    assert recalled["rnn_tanh", LONG].accuracy < 0.6 and recalled["rnn_tanh", LONG].steps is None
    for delay in (SHORT, LONG):
        assert recalled["lstm", delay].accuracy > 0.98 and recalled["lstm", delay].steps is not None


def test_the_error_reaches_the_letter_in_an_lstm_alone(recalled: dict[tuple[str, int], RecallResult]) -> None:
    assert len(recalled["lstm", LONG].after) == LONG + 2  # letter, noise, question
    assert recalled["lstm", LONG].after[-1] > 1e-4
    assert recalled["rnn_tanh", LONG].after[-1] < 1e-4 * recalled["lstm", LONG].after[-1]


def test_the_task() -> None:
    torch.manual_seed(0)
    inputs, answers = draw_sequences(letters=5, delay=4, rows=100)
    assert inputs.shape == (6, 100, 11) and (inputs.sum(2) == 1).all()
    indices = inputs.argmax(2)
    assert torch.equal(indices[0], answers) and answers.unique().tolist() == [0, 1, 2, 3, 4]
    assert indices[1:5].unique().tolist() == [5, 6, 7, 8, 9]
    assert (indices[5] == 10).all()


def test_untrained_answers_are_chance_and_looking_at_gradients_changes_nothing() -> None:
    torch.manual_seed(0)
    model = Recall("lstm", 8, 16)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert accuracy(model, 8, 5) < 0.5
    assert gradient_flow(model, 8, 5)[0] == 1.0
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None and parameter.dtype == torch.float32 for parameter in model.parameters())


def test_scale_is_by_how_much_the_weights_stretch() -> None:
    for cell, gates in (("rnn_tanh", 1), ("gru", 3), ("lstm", 4)):
        (layer,) = make_stack(cell, 1, 16, 1.5, 2.0)
        for block in layer.network.weight_hh_l0.detach().chunk(gates):  # type: ignore[operator]
            torch.testing.assert_close(torch.linalg.svdvals(block), torch.full((16,), 1.5))
    assert isinstance(layer.network, nn.LSTM)
    assert (layer.get_parameter("network.bias_ih_l0")[16:32] == 2.0).all()
