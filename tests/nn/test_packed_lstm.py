"""Packed LSTM layers, against torch's own."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from speechrnn.nn.packed_lstm import PackedLstm, can_pack
from speechrnn.nn.recurrent import FORWARD, RecurrentLayer, RecurrentOptions, RecurrentStack

UNITS = 16
SHAPES = pytest.mark.parametrize(("frames", "batch"), [(1, 1), (12, 1), (20, 3), (5, 40)])
TYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])


@pytest.fixture(autouse=True)
def packing() -> None:
    """Skip where torch cannot pack."""
    if not can_pack(torch.zeros(1)):
        pytest.skip("this torch has no oneDNN")


def parameters_of(lstm: nn.LSTM) -> list[Tensor]:
    """Return the parameters of the forward direction."""
    return [getattr(lstm, f"{name}_l0") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]


@TYPES
@SHAPES
def test_the_results_are_those_of_torch(dtype: torch.dtype, frames: int, batch: int) -> None:
    torch.manual_seed(1)
    lstm = nn.LSTM(8, UNITS).to(dtype)
    inputs = torch.randn(batch, frames, 8, dtype=dtype).transpose(0, 1)
    hidden, cell = torch.randn(2, 1, batch, UNITS, dtype=dtype).unbind()
    with torch.inference_mode():
        expected, (last_hidden, last_cell) = lstm(inputs, (hidden, cell))
        found = PackedLstm(parameters_of(lstm))(inputs, hidden, cell)
    for tensor, other in zip(found, (expected, last_hidden, last_cell), strict=True):
        assert torch.allclose(tensor.float(), other.float(), atol=1e-6 if dtype == torch.float32 else 1e-2)
        assert tensor.shape == other.shape


@TYPES
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_packed_stack_is_the_same_stack(dtype: torch.dtype, bidirectional: bool) -> None:
    torch.manual_seed(2)
    options = RecurrentOptions(layers=2, units=UNITS, bidirectional=bidirectional)
    stack = RecurrentStack(8, options).eval().to(dtype)
    inputs, lengths = torch.randn(30, 3, 8, dtype=dtype), torch.tensor([30, 12, 1])
    with torch.inference_mode():
        before = stack(inputs, lengths)
        stack.pack()
        after = stack(inputs, lengths)
        assert stack(inputs[:, :0], lengths[:0]).shape == (30, 0, UNITS)
    for row, length in enumerate(lengths.tolist()):
        assert torch.allclose(after[:length, row].float(), before[:length, row].float(), atol=1e-5)


@pytest.mark.parametrize("batch", [1, 7, 40])
def test_a_step_is_a_frame_of_the_layer(batch: int) -> None:
    torch.manual_seed(4)
    layer = RecurrentLayer(8, UNITS, bidirectional=False).eval()
    inputs, states = torch.randn(batch, 8), torch.randn(batch, layer.state_size)
    with torch.inference_mode():
        before = layer.step(inputs, states)
    layer.pack()
    with torch.inference_mode():
        after = layer.step(inputs, states)
        assert layer.step(inputs[:0], states[:0]).shape == (0, layer.state_size)
    assert after.shape == before.shape
    assert torch.allclose(after, before, atol=1e-5)


def test_changed_weights_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(3)
    layer = RecurrentLayer(8, UNITS, bidirectional=False).eval()
    layer.pack()
    inputs, lengths = torch.randn(5, 2, 8), torch.tensor([5, 5])
    used = []
    call = PackedLstm.__call__

    def spy(self: PackedLstm, inputs: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        used.append(self)
        return call(self, inputs, hidden, cell)

    monkeypatch.setattr(PackedLstm, "__call__", spy)
    with torch.no_grad():
        layer(inputs, lengths)
        assert len(used) == 1
        layer.direction_parameters(FORWARD)[1].mul_(2)
        changed = layer(inputs, lengths)
        assert len(used) == 1
        assert torch.allclose(changed, layer.network(inputs)[0], atol=1e-6)


def test_a_copy_has_its_own_weights() -> None:
    layer = RecurrentLayer(8, UNITS).eval()
    layer.pack()
    twin = copy.deepcopy(layer)
    inputs, lengths = torch.randn(5, 2, 8), torch.tensor([5, 5])
    with torch.no_grad():
        twin.direction_parameters(FORWARD)[0].zero_()
        assert not torch.allclose(twin(inputs, lengths), layer(inputs, lengths))


def test_gradients_flow_through_a_packed_layer() -> None:
    layer = RecurrentLayer(8, UNITS)
    layer.pack()
    layer(torch.randn(5, 2, 8), torch.tensor([5, 5])).sum().backward()
    assert layer.network.weight_hh_l0.grad is not None


@pytest.mark.parametrize("cell", ["gru", "rnn_tanh"])
def test_other_cells_run_as_before(cell: str) -> None:
    layer = RecurrentLayer(8, UNITS, cell).eval()
    inputs, lengths = torch.randn(5, 2, 8), torch.tensor([5, 5])
    with torch.inference_mode():
        before = layer(inputs, lengths)
        layer.pack()
        assert torch.equal(layer(inputs, lengths), before)


def test_what_cannot_be_packed() -> None:
    assert not can_pack(torch.zeros(2, dtype=torch.float16))
    with torch.inference_mode():
        assert not can_pack(torch.zeros(2))
