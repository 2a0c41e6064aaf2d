"""Tests of the page of the gates: its coloured texts and lengths of memory."""

from __future__ import annotations

import pytest
import torch
from helpers.gates import activations_of

from speechrnn.tutorials.gates.cell import Step
from speechrnn.tutorials.gates.page import colour_tokens, memory_length
from speechrnn.tutorials.gates.tracking import Tracker


def test_a_coloured_text_is_the_text() -> None:
    activations = activations_of("<a>\n&b", [torch.tensor([[0.0], [1], [2], [3], [4], [-9]])])
    tokens = colour_tokens(activations, Tracker("inside quotes", 0, 0, correlation=1.0))
    assert "".join(token.text for token in tokens) == "<a>↵\n&b"
    colours = [token.colour for token in tokens]
    assert sum(colour.startswith("rgba(0, 114, 178") for colour in colours) == 5
    assert sum(colour.startswith("rgba(213, 94, 0, 0.60)") for colour in colours) == 1


@pytest.mark.parametrize(("forget", "tokens"), [(0.0, 1.0), (0.5, 2.0), (0.9, 10.0), (1.0, 1000.0)])
def test_a_memory_is_as_long_as_the_forget_gate_lets_it_be(forget: float, tokens: float) -> None:
    zeros = torch.zeros(5, 2)
    step = Step(torch.full((5, 2), forget), zeros, zeros, output=zeros, cell=zeros, hidden=zeros)
    assert memory_length(step, 1) == pytest.approx(tokens, rel=1e-3)
