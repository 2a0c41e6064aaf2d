"""Prepared weights give what the fused layers give."""

from __future__ import annotations

import pytest
import torch

from speechrnn.nn import prepared
from speechrnn.nn.prepared import PreparedLayer
from speechrnn.nn.recurrent import MODULES, RecurrentLayer


@pytest.mark.parametrize("cell", MODULES)
@pytest.mark.parametrize("reverse", [False, True])
@torch.inference_mode()
def test_the_loop_equals_the_fused_kernel(cell: str, reverse: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer = RecurrentLayer(5, 7, cell).eval()
    for parameter in layer.parameters():
        parameter.data.normal_()
    inputs, states = torch.randn(6, 3, 5), torch.randn(3, layer.state_size)
    before = inputs.clone(), states.clone()
    run = PreparedLayer(layer).run
    outputs, end = run(inputs, states, reverse)
    assert torch.equal(inputs, before[0]) and torch.equal(states, before[1])
    monkeypatch.setattr(prepared, "SMALL_CALL", 0)
    expected_outputs, expected_end = run(inputs, states, reverse)
    torch.testing.assert_close(outputs, expected_outputs, atol=1e-5, rtol=0)
    torch.testing.assert_close(end, expected_end, atol=1e-5, rtol=0)
