"""The recurrent layers against torch's own on packed sequences."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from speechrnn.nn.recurrent import MODULES, Blocks, RecurrentLayer, RecurrentOptions, RecurrentStack, reversal_index


def packed_reference(layer: RecurrentLayer, inputs: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Return the outputs of torch's module with the same parameters on the packed sequence, the directions summed."""
    packed = pack_padded_sequence(inputs, lengths, enforce_sorted=False)
    outputs, _ = pad_packed_sequence(layer.network(packed)[0], total_length=inputs.shape[0])
    if layer.network.bidirectional:
        outputs = outputs.unflatten(2, (2, -1)).sum(2)
    return outputs


@pytest.mark.parametrize("cell", MODULES)
@pytest.mark.parametrize("bidirectional", [True, False])
@settings(max_examples=10)
@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=5), seed=st.integers(0, 1000))
def test_equals_torch_on_packed_sequences_with_gradients(
    cell: str, bidirectional: bool, lengths: list[int], seed: int
) -> None:
    torch.manual_seed(seed)
    layer = RecurrentLayer(6, 8, cell, bidirectional=bidirectional)
    counts = torch.tensor(lengths)
    inputs = torch.randn(max(lengths), len(lengths), 6)
    inside = (torch.arange(max(lengths))[:, None] < counts).unsqueeze(2)
    weights = torch.randn(max(lengths), len(lengths), 8) * inside  # a loss that looks at true frames only

    results = []
    for run in (layer.forward, lambda x, n: packed_reference(layer, x, n)):
        layer.zero_grad()
        own = inputs.clone().requires_grad_()
        outputs = run(own, counts)
        (outputs * weights).sum().backward()
        assert own.grad is not None
        gradients = [parameter.grad.clone() for parameter in layer.parameters()]  # type: ignore[union-attr]
        results.append((outputs * inside, own.grad * inside, gradients))
    ours, theirs = results
    torch.testing.assert_close(ours[0], theirs[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(ours[1], theirs[1], atol=1e-5, rtol=0)
    for mine, reference in zip(ours[2], theirs[2], strict=True):
        torch.testing.assert_close(mine, reference, atol=1e-5, rtol=1e-5)


def test_packed_path_is_the_same_computation() -> None:
    torch.manual_seed(0)
    layer = RecurrentLayer(4, 5)
    inputs, lengths = torch.randn(7, 3, 4), torch.tensor([7, 2, 5])
    inside = (torch.arange(7)[:, None] < lengths).unsqueeze(2)
    torch.testing.assert_close(layer(inputs, lengths) * inside, layer.forward_packed(inputs, lengths) * inside)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=6), st.integers(0, 5))
def test_reversal_undoes_itself_and_keeps_padding(lengths: list[int], padding: int) -> None:
    frames = max(lengths) + padding
    index = reversal_index(torch.tensor(lengths), frames)
    values = torch.arange(frames)[:, None].expand(frames, len(lengths))
    once = values.gather(0, index)
    for column, length in enumerate(lengths):
        assert once[:length, column].tolist() == list(range(length))[::-1]
        assert once[length:, column].tolist() == list(range(length, frames))
    assert torch.equal(once.gather(0, index), values)


@pytest.mark.parametrize("cell", MODULES)
def test_padding_never_reaches_a_row(cell: str) -> None:
    torch.manual_seed(0)
    stack = RecurrentStack(5, RecurrentOptions(cell=cell, layers=2, units=6, dropout=0.0)).eval()  # type: ignore[arg-type]
    row = torch.randn(4, 1, 5)
    garbage = torch.full((9, 2, 5), 1e3)
    garbage[:4, :1] = row
    alone = stack(row, torch.tensor([4]))
    padded = stack(garbage, torch.tensor([4, 9]))
    torch.testing.assert_close(padded[:4, :1], alone, atol=1e-5, rtol=0)


def test_residual_adds_the_input_of_each_layer_but_the_first() -> None:
    torch.manual_seed(0)
    stack = RecurrentStack(3, RecurrentOptions(layers=2, units=4, layer_norm=False, residual=True, dropout=0.0))
    inputs, lengths = torch.randn(5, 2, 3), torch.tensor([5, 5])
    first = stack.layers[0](inputs, lengths)
    torch.testing.assert_close(stack(inputs, lengths), first + stack.layers[1](first, lengths))


def test_forget_gates_start_open() -> None:
    layer = RecurrentLayer(3, 4, "lstm", bidirectional=False)
    bias = layer.network.bias_ih_l0
    assert isinstance(bias, torch.Tensor)
    assert bias[4:8].tolist() == [1.0] * 4
    assert bias[:4].abs().sum() == 0


@pytest.mark.gpu
@pytest.mark.parametrize("blocks", [None, Blocks(6, 4)])
def test_cuda_equals_cpu(blocks: Blocks | None) -> None:
    torch.manual_seed(0)
    stack = RecurrentStack(8, RecurrentOptions(layers=2, units=16, dropout=0.0)).eval()
    inputs, lengths = torch.randn(20, 3, 8), torch.tensor([20, 3, 11])
    inside = (torch.arange(20)[:, None] < lengths).unsqueeze(2)
    here = stack(inputs, lengths, blocks) * inside
    there = stack.cuda()(inputs.cuda(), lengths.cuda(), blocks).cpu() * inside
    torch.testing.assert_close(there, here, atol=1e-4, rtol=0)


def run_window_by_window(stack: RecurrentStack, inputs: torch.Tensor, blocks: Blocks) -> torch.Tensor:
    """Run a stack over one utterance, (frames, size), block after block, with torch's own bidirectional layers."""
    layers = [layer for layer in stack.layers if isinstance(layer, RecurrentLayer)]
    states = [inputs.new_zeros(layer.state_size) for layer in layers]
    found = []
    for place in range(0, len(inputs), blocks.size):
        outputs = inputs[place : place + blocks.latency]
        for number, (layer, norm) in enumerate(zip(layers, stack.norms, strict=True)):
            network, units = layer.network, layer.network.hidden_size
            start = torch.stack([states[number], torch.zeros_like(states[number])])  # forward, backward
            hidden = tuple(start.split(units, 1)) if layer.cell == "lstm" else start
            new = network(outputs, hidden)[0].unflatten(1, (2, units)).sum(1)
            _, end = network(outputs[: blocks.size], hidden)
            states[number] = torch.cat([part[0] for part in end]) if layer.cell == "lstm" else end[0]
            outputs = norm(new) + outputs if stack.residual and number else norm(new)
        found.append(outputs[: blocks.size])
    return torch.cat(found)


@pytest.mark.parametrize("cell", MODULES)
@settings(max_examples=30)
@given(lengths=st.lists(st.integers(1, 25), min_size=1, max_size=4), size=st.integers(1, 12), right=st.integers(0, 8))
def test_blocks_equal_windows_one_after_another(cell: str, lengths: list[int], size: int, right: int) -> None:
    torch.manual_seed(0)
    stack = RecurrentStack(4, RecurrentOptions(layers=3, units=5, cell=cell)).eval()  # type: ignore[arg-type]
    inputs, blocks = torch.randn(max(lengths), len(lengths), 4), Blocks(size, right)
    outputs = stack(inputs, torch.tensor(lengths), blocks)
    assert outputs.shape == (max(lengths), len(lengths), 5)
    for row, length in enumerate(lengths):
        expected = run_window_by_window(stack, inputs[:length, row], blocks)
        torch.testing.assert_close(outputs[:length, row], expected, atol=1e-5, rtol=0)


def test_blocks_as_long_as_the_utterance_equal_no_blocks() -> None:
    torch.manual_seed(0)
    stack = RecurrentStack(4, RecurrentOptions(layers=3, units=5)).eval()
    inputs, lengths = torch.randn(20, 2, 4), torch.tensor([20, 13])
    inside = (torch.arange(20)[:, None] < lengths).unsqueeze(2)
    for blocks in (Blocks(20, 0), Blocks(30, 7)):
        torch.testing.assert_close(stack(inputs, lengths, blocks) * inside, stack(inputs, lengths) * inside)


def test_blocks_make_no_difference_to_one_direction() -> None:
    torch.manual_seed(0)
    stack = RecurrentStack(4, RecurrentOptions(layers=2, units=5, bidirectional=False)).eval()
    inputs, lengths = torch.randn(20, 2, 4), torch.tensor([20, 13])
    assert torch.equal(stack(inputs, lengths, Blocks(4, 2)), stack(inputs, lengths))


def test_gradients_pass_the_look_ahead_and_earlier_blocks() -> None:
    torch.manual_seed(0)
    stack = RecurrentStack(4, RecurrentOptions(layers=2, units=5)).eval()
    inputs = torch.randn(20, 1, 4, requires_grad=True)
    outputs = stack(inputs, torch.tensor([20]), Blocks(4, 2))
    (gradient,) = torch.autograd.grad(outputs[8].sum(), inputs)
    assert all(gradient[frame].abs().sum() > 0 for frame in range(14))  # block 8 to 11, look-ahead 12 and 13
    assert gradient[14:].abs().sum() == 0


@settings(max_examples=30)
@given(size=st.integers(1, 12), right=st.integers(0, 12), block=st.integers(1, 6), frames=st.integers(30, 60))
def test_no_frame_beyond_the_latency_reaches_the_output(size: int, right: int, block: int, frames: int) -> None:
    torch.manual_seed(0)
    stack = RecurrentStack(4, RecurrentOptions(layers=3, units=5)).eval()
    inputs, lengths, blocks = torch.randn(frames, 1, 4), torch.tensor([frames]), Blocks(size, right)
    known = block * size + right  # frames of the input so far
    changed = torch.cat([inputs[:known], torch.randn(max(frames - known, 0), 1, 4)])[:frames]
    before, after = stack(inputs, lengths, blocks), stack(changed, lengths, blocks)
    torch.testing.assert_close(before[: block * size], after[: block * size], atol=0, rtol=0)
    assert blocks.latency == size + right
