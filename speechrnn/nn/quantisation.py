"""Small weights: the formats in which a model directory may store its tensors, all read back to float32.

Matrices and convolutions take the format; vectors (biases, norms, statistics of features) are few and stay float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

WeightFormat = Literal["float32", "float16", "int8"]
SCALE = ".scale"  # NAME.scale holds the scales of the int8 tensor NAME, one a row


def pack_weights(weights: Mapping[str, Tensor], format: WeightFormat) -> dict[str, Tensor]:
    """Convert a model's tensors to a format.

    >>> packed = pack_weights({"head.weight": torch.eye(2), "head.bias": torch.zeros(2)}, "int8")
    >>> {name: str(tensor.dtype) for name, tensor in packed.items()}
    {'head.weight': 'torch.int8', 'head.weight.scale': 'torch.float32', 'head.bias': 'torch.float32'}

    Args:
        weights: a model's `state_dict()`.
        format: of the matrices; int8 has a scale for each row (output) of a tensor.

    Returns:
        tensors by name, for `unpack_weights`.

    Raises:
        ValueError: a number is too large for the format.
    """
    packed: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        tensor = tensor.detach().cpu()
        if not _takes_format(tensor) or format == "float32":
            packed[name] = tensor.contiguous()
        elif format == "float16":
            packed[name] = tensor.to(torch.float16).contiguous()
            if not bool(packed[name].isfinite().all()):
                raise ValueError(f"{name} holds numbers that float16 cannot hold")
        else:
            steps, scale = quantise_int8(tensor.flatten(1), 1)
            packed[name], packed[name + SCALE] = steps.view(tensor.shape), scale
    return packed


def unpack_weights(packed: Mapping[str, Tensor], format: WeightFormat) -> dict[str, Tensor]:
    """Convert tensors of a format back to float32.

    Args:
        packed: from `pack_weights`, or from a file that may be damaged.
        format: of the file.

    Returns:
        tensors by name; those that are in no format are returned as they are.

    Raises:
        ValueError: a matrix is of another type, or a scale is missing, of a wrong shape, or not positive and finite.
    """
    if format == "float32":
        return dict(packed)
    kind = torch.float16 if format == "float16" else torch.int8
    scales = (
        {name + SCALE for name, tensor in packed.items() if tensor.dtype == torch.int8} if kind == torch.int8 else ()
    )
    weights: dict[str, Tensor] = {}
    for name, tensor in packed.items():
        if name in scales:
            continue
        if tensor.ndim < 2:
            weights[name] = tensor
        elif tensor.dtype != kind:
            raise ValueError(f"{name} is {str(tensor.dtype).removeprefix('torch.')}, not {format}")
        elif kind == torch.float16:
            weights[name] = tensor.float()
        else:
            scale = packed.get(name + SCALE)
            if scale is None or scale.dtype != torch.float32 or scale.shape != tensor.shape[:1]:
                raise ValueError(f"{name} has no scale for each of its rows")
            if not bool(((scale > 0) & scale.isfinite()).all()):
                raise ValueError(f"a scale of {name} is not a positive number")
            weights[name] = tensor.float() * scale.view(-1, *[1] * (tensor.ndim - 1))
    return weights


def quantise_int8(weight: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Quantise a weight to symmetric int8, with a scale for each output.

    >>> quantise_int8(torch.tensor([[1.0, -0.5]]), 1)[0].tolist()
    [[127, -64]]

    Args:
        weight: float32.
        axis: the axis of the inputs.

    Returns:
        int8 in the shape of `weight`, and the scales, without the axis.
    """
    scale = (weight.abs().amax(axis, keepdim=True) / 127).clamp_min(torch.finfo(torch.float32).tiny)
    steps = (weight / scale).round().to(torch.int8).contiguous()
    return steps, scale.squeeze(axis)


def _takes_format(tensor: Tensor) -> bool:
    """Return whether a tensor is stored in the format: a matrix or a convolution of float32."""
    return tensor.ndim >= 2 and tensor.dtype == torch.float32
