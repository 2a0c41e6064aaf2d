"""The cell written out is torch's LSTM, and its gates do what they are called."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from speechrnn.tutorials.gates.cell import LstmCell


@pytest.mark.parametrize("layer", [0, 1])
def test_it_equals_torchs_own_with_the_same_parameters(layer: int) -> None:
    torch.manual_seed(0)
    network = nn.LSTM(7, 11, num_layers=2)
    cell = LstmCell.from_lstm(network, layer)
    tokens = torch.randn(50, 3, 7 if layer == 0 else 11)
    hidden, memory = torch.randn(3, 11), torch.randn(3, 11)
    names = [name for name, _ in cell.named_parameters()]
    own = nn.LSTM(tokens.shape[2], 11)
    own.load_state_dict({f"{name}_l0": getattr(network, f"{name}_l{layer}") for name in names})
    expected, (end, cell_end) = own(tokens, (hidden[None], memory[None]))
    steps = cell(tokens, hidden, memory)
    torch.testing.assert_close(steps.hidden, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(steps.hidden[-1], end[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(steps.cell[-1], cell_end[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(cell(tokens).hidden, own(tokens)[0], atol=1e-6, rtol=0)  # from an empty memory


def test_its_gradients_are_torchs_own() -> None:
    torch.manual_seed(1)
    network = nn.LSTM(4, 6)
    cell, tokens = LstmCell.from_lstm(network), torch.randn(20, 2, 4)
    network(tokens)[0].square().sum().backward()
    cell(tokens).hidden.square().sum().backward()
    for name, parameter in cell.named_parameters():
        torch.testing.assert_close(parameter.grad, getattr(network, f"{name}_l0").grad, atol=1e-5, rtol=1e-5)


def gate(cell: LstmCell, number: int, value: float) -> None:
    """Sets one block of biases so that its gate is wide open (100), shut (-100), or as a candidate 1 or -1."""
    cell.bias_ih.data.view(4, cell.units)[number] = value


def test_the_gates_forget_take_in_and_show() -> None:
    torch.manual_seed(2)
    cell = LstmCell(3, 5)
    hidden, memory, token = torch.randn(1, 5), torch.randn(1, 5), torch.randn(1, 3)
    gate(cell, 0, -100)  # nothing comes in
    gate(cell, 1, 100)  # nothing is forgotten
    gate(cell, 3, -100)  # nothing is shown
    step = cell.step(token, hidden, memory)
    assert torch.equal(step.cell, memory) and not step.hidden.any()
    gate(cell, 1, -100)  # all is forgotten
    assert not cell.step(token, hidden, memory).cell.any()
    gate(cell, 0, 100)  # all comes in
    gate(cell, 3, 100)  # all is shown
    step = cell.step(token, hidden, memory)
    assert torch.equal(step.cell, step.candidate) and torch.equal(step.hidden, torch.tanh(step.candidate))


def test_an_open_forget_gate_passes_the_gradient_undiminished() -> None:
    cell = LstmCell(3, 5)
    for parameter in cell.parameters():
        nn.init.zeros_(parameter)
    gate(cell, 0, -100)
    gate(cell, 1, 100)
    memory = torch.randn(1, 5, requires_grad=True)
    cell(torch.randn(200, 1, 3), torch.zeros(1, 5), memory).cell[-1].sum().backward()
    assert memory.grad is not None and torch.equal(memory.grad, torch.ones(1, 5))
