"""Compute an LSTM cell step by step.

Hochreiter & Schmidhuber (1997), with the forget gate of Gers, Schmidhuber & Cummins (2000). It computes what
`torch.nn.LSTM` computes, with the same parameters, and returns each intermediate result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Step:
    """Gates, memory and output of the cell at one token, or at many of them stacked; each (..., units).

    Attributes:
        forget: forget gate f, the share of the old memory that stays.
        input: input gate i, the share of the candidate that is added.
        candidate: g, what could be added, between -1 and 1.
        output: output gate o, the share of the memory that is output.
        cell: the memory c after this token.
        hidden: the hidden state h: the layer's output, which is also an input at the next token.
    """

    forget: Tensor
    input: Tensor
    candidate: Tensor
    output: Tensor
    cell: Tensor
    hidden: Tensor

    def apply(self, change: Callable[[Tensor], Tensor]) -> Step:
        """Return a step of which each tensor is changed by a function."""
        return Step(
            forget=change(self.forget),
            input=change(self.input),
            candidate=change(self.candidate),
            output=change(self.output),
            cell=change(self.cell),
            hidden=change(self.hidden),
        )

    @classmethod
    def stack(cls, steps: Sequence[Step]) -> Step:
        """Return several steps as one: (length, ..., units) of each."""
        return cls(
            forget=torch.stack([step.forget for step in steps]),
            input=torch.stack([step.input for step in steps]),
            candidate=torch.stack([step.candidate for step in steps]),
            output=torch.stack([step.output for step in steps]),
            cell=torch.stack([step.cell for step in steps]),
            hidden=torch.stack([step.hidden for step in steps]),
        )


class LstmCell(nn.Module):
    """One LSTM layer that reads a token at a time."""

    def __init__(self, input_size: int, units: int) -> None:
        super().__init__()
        self.units = units
        bound = units**-0.5  # where torch's own layers start
        # The four rows of blocks belong to the input gate, the forget gate, the candidate and the output gate.
        self.weight_ih = nn.Parameter(torch.empty(4 * units, input_size).uniform_(-bound, bound))
        self.weight_hh = nn.Parameter(torch.empty(4 * units, units).uniform_(-bound, bound))
        self.bias_ih = nn.Parameter(torch.empty(4 * units).uniform_(-bound, bound))
        self.bias_hh = nn.Parameter(torch.empty(4 * units).uniform_(-bound, bound))

    @classmethod
    def from_lstm(cls, network: nn.LSTM, layer: int = 0) -> LstmCell:
        """Return a cell with a copy of the parameters of one layer of `nn.LSTM`, in its forward direction."""
        weight: Tensor = getattr(network, f"weight_ih_l{layer}")
        cell = cls(weight.shape[1], network.hidden_size).to(weight)
        for name, parameter in cell.named_parameters():
            parameter.data.copy_(getattr(network, f"{name}_l{layer}"))
        return cell

    def step(self, token: Tensor, hidden: Tensor, cell: Tensor) -> Step:
        """Read one token (batch, input_size), with the last hidden state and memory, both (batch, units)."""
        sums = token @ self.weight_ih.T + self.bias_ih + hidden @ self.weight_hh.T + self.bias_hh
        for_input, for_forget, for_candidate, for_output = sums.chunk(4, dim=-1)

        # 1. Forget: a gate between 0 and 1 for each number of the memory.
        forget = torch.sigmoid(for_forget)
        # 2. Input: what could be added, and how much of it.
        input = torch.sigmoid(for_input)
        candidate = torch.tanh(for_candidate)
        # 3. Update. The old memory is multiplied by a gate, not by a matrix and a tanh: where the gate is open, it
        #    passes unchanged, and so does the gradient on its way back.
        cell = forget * cell + input * candidate
        # 4. Output a part of the memory.
        output = torch.sigmoid(for_output)
        hidden = output * torch.tanh(cell)
        return Step(forget, input, candidate, output=output, cell=cell, hidden=hidden)

    def forward(self, tokens: Tensor, hidden: Tensor | None = None, cell: Tensor | None = None) -> Step:
        """Read (length, batch, input_size), from an empty memory or a given one.

        Returns:
            (length, batch, units) of each.
        """
        empty = tokens.new_zeros(tokens.shape[1], self.units)
        hidden, cell = empty if hidden is None else hidden, empty if cell is None else cell
        steps = []
        for token in tokens:
            steps.append(self.step(token, hidden, cell))
            hidden, cell = steps[-1].hidden, steps[-1].cell
        return Step.stack(steps)
