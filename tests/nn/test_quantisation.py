"""Formats of weights: what is stored is small, what is read back is float32 and near."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from speechrnn.nn.quantisation import SCALE, WeightFormat, pack_weights, quantise_int8, unpack_weights


def make_weights() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {
        "matrix": torch.randn(6, 5),
        "convolution": torch.randn(3, 2, 3, 3) * 10,
        "bias": torch.randn(6),
        "zeros": torch.zeros(2, 4),
    }


@given(st.integers(0, 10_000), st.sampled_from([0, 1]))
def test_int8_is_within_half_a_step_and_uses_the_whole_range(seed: int, axis: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(6, 5, generator=generator) * 10 ** torch.empty(1).uniform_(-6, 3, generator=generator)
    steps, scale = quantise_int8(weight, axis)
    size = scale.unsqueeze(axis)
    assert steps.dtype == torch.int8 and scale.shape == (weight.shape[1 - axis],)
    assert ((steps * size - weight).abs() <= 0.5001 * size).all()
    assert (steps.abs().amax(axis) == 127).all()


def test_int8_of_zeros_is_zeros() -> None:
    steps, scale = quantise_int8(torch.zeros(3, 2), 0)
    assert not steps.any() and (scale > 0).all()


@pytest.mark.parametrize(("format", "error"), [("float32", 0.0), ("float16", 5e-4), ("int8", 4e-3)])
def test_matrices_come_back_as_float32_within_a_share_of_their_rows(format: WeightFormat, error: float) -> None:
    weights = make_weights()
    back = unpack_weights(pack_weights(weights, format), format)
    assert back.keys() == weights.keys()
    for name, tensor in weights.items():
        assert back[name].dtype == torch.float32 and back[name].shape == tensor.shape
        most = tensor.abs().flatten(1).amax(1).max() if tensor.ndim > 1 else 0
        assert (back[name] - tensor).abs().max() <= error * most
    assert torch.equal(back["bias"], weights["bias"])  # vectors stay as they are


def test_rows_have_scales_of_their_own() -> None:
    weights = {"matrix": torch.tensor([[1.0, 0.5], [1000.0, 500.0]])}
    packed = pack_weights(weights, "int8")
    assert packed["matrix"].dtype == torch.int8 and packed["matrix" + SCALE].shape == (2,)
    torch.testing.assert_close(unpack_weights(packed, "int8")["matrix"], weights["matrix"], rtol=0.01, atol=0)


def test_packing_twice_changes_nothing_more() -> None:
    once = unpack_weights(pack_weights(make_weights(), "int8"), "int8")
    twice = unpack_weights(pack_weights(once, "int8"), "int8")
    for name, tensor in once.items():
        torch.testing.assert_close(twice[name], tensor, rtol=1e-6, atol=0)


def test_a_number_that_is_too_large_for_float16_is_refused() -> None:
    with pytest.raises(ValueError, match="matrix holds numbers that float16 cannot hold"):
        pack_weights({"matrix": torch.full((2, 2), 1e5)}, "float16")


def test_damaged_int8_is_refused() -> None:
    packed = pack_weights(make_weights(), "int8")
    scale = packed["matrix" + SCALE]
    damages: list[tuple[str, Tensor | None]] = [
        ("no scale", None),
        ("no scale", scale[:3]),
        ("no scale", scale.double()),
        ("not a positive number", torch.full_like(scale, float("inf"))),
        ("not a positive number", torch.full_like(scale, float("nan"))),
        ("not a positive number", -scale),
        ("not a positive number", torch.zeros_like(scale)),
    ]
    for message, value in damages:
        damaged = {name: tensor for name, tensor in packed.items() if name != "matrix" + SCALE}
        if value is not None:
            damaged["matrix" + SCALE] = value
        with pytest.raises(ValueError, match=message):
            unpack_weights(damaged, "int8")


@pytest.mark.parametrize("format", ["float16", "int8"])
def test_matrices_of_another_type_are_refused(format: WeightFormat) -> None:
    with pytest.raises(ValueError, match=f"matrix is float32, not {format}"):
        unpack_weights(make_weights(), format)
    with pytest.raises(ValueError, match="is float64, not"):
        unpack_weights({"matrix": torch.zeros(2, 2).double()}, format)
