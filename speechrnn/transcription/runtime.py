"""Inference engines for the acoustic network: torch or onnxruntime, in float32, bfloat16 or int8.

All of them compute the features in float32, give float32 log-probabilities, and may be called by several threads at
once. How many threads torch takes for one call is its own setting (`torch.set_num_threads`).
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Literal, Protocol

import torch
from torch import Tensor

from speechrnn.core.config import nearest
from speechrnn.core.errors import UserError
from speechrnn.nn.acoustic import AcousticModel, in_bfloat16

EngineName = Literal["auto", "torch", "onnx"]
Precision = Literal["auto", "float32", "bfloat16", "int8"]

PRECISIONS = {"torch": ("float32", "bfloat16"), "onnx": ("float32", "int8")}  # by engine, the usual one first


class Engine(Protocol):
    """An acoustic model that computes emissions.

    Attributes:
        name: what runs, and in which precision: "torch bfloat16".
    """

    name: str

    def __call__(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute emissions: (batch, samples), (batch,) -> (batch, frames, symbols) log-probabilities, (batch,) frames.

        A row's result does not depend on the padding or on the other rows. Both results are on the engine's device.
        """
        ...


class TorchEngine:
    """The network as it is, in float32, or with its layers converted, once, to bfloat16; see `in_bfloat16`."""

    def __init__(self, model: AcousticModel, device: torch.device, bfloat16: bool = False) -> None:
        """Move `model` to the device, and convert a copy of it."""
        self.name = "torch bfloat16" if bfloat16 else "torch float32"
        self.device = device
        self.dtype = torch.bfloat16 if bfloat16 else torch.float32
        self.model = model.eval().to(device)
        if bfloat16:
            self.model = in_bfloat16(self.model)
        self.model.recurrent.pack()

    @torch.inference_mode()
    def __call__(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """See `Engine`."""
        model = self.model
        features, frames = model.front_end(waveforms.to(self.device), lengths.to(self.device))
        outputs, frames = model.subsampling(features.to(self.dtype), frames)
        outputs = model.recurrent(model.input(outputs).transpose(0, 1), frames)  # -> (frames, batch, units)
        logits = model.head(outputs).transpose(0, 1)  # (frames, batch, symbols) -> (batch, frames, symbols)
        return logits.float().log_softmax(2), frames


def make_engine(
    model: AcousticModel,
    folder: Path | None,
    name: EngineName,
    device: torch.device,
    precision: Precision = "auto",
) -> Engine:
    """Return an inference engine for `model` on `device`.

    Args:
        folder: the model's directory, for messages; None: it has none.
        name: "auto" is what is fastest on this machine, or what has the precision.
        precision: "auto" is the engine's fastest on this machine.

    Raises:
        UserError: no such engine or precision, they do not go together, or what they need is not here.
    """
    engine, kind = choose(name, precision, device, cell=model.options.cell, folder=folder)
    if engine == "onnx":
        from speechrnn.export.session import OnnxEngine

        return OnnxEngine(model, int8=kind == "int8")
    return TorchEngine(model, device, bfloat16=kind == "bfloat16")


def choose(name: str, precision: str, device: torch.device, cell: str, folder: Path | None = None) -> tuple[str, str]:
    """Choose engine and precision where they are "auto"; see `make_engine`. `cell` is the model's."""
    known = {"engine": ["auto", *PRECISIONS], "precision": list(dict.fromkeys(["auto", *sum(PRECISIONS.values(), ())]))}
    for key, value in (("engine", name), ("precision", precision)):
        if value not in known[key]:
            near = nearest(value, known[key])
            hint = f"did you mean {near[0]}?" if near else f"choose {', '.join(known[key])}."
            raise UserError(f"{key}={value} is unknown; {hint}")
    bfloat16, int8 = bfloat16_pays(device, cell), int8_pays(device, cell)
    if name == "auto":
        wanted = int8 and not bfloat16 and onnx_is_here() if precision == "auto" else precision == "int8"
        name = "onnx" if wanted else "torch"
    if precision == "auto" and name == "torch":
        precision = "bfloat16" if bfloat16 else "float32"
    elif precision == "auto":
        precision = "int8" if int8 else "float32"
    if precision not in PRECISIONS[name]:
        raise UserError(f"engine={name} has no precision={precision}; choose {' or '.join(PRECISIONS[name])}.")
    if name == "onnx" and device.type != "cpu":
        raise UserError(f"engine=onnx runs on the CPU, not on device={device}; choose device=cpu or engine=torch.")
    if precision == "int8":
        if cell != "lstm":
            raise UserError(
                f"{folder or 'The model'} has {cell} layers, and onnxruntime has int8 for lstm only; choose float32."
            )
        if saturates():
            raise UserError("precision=int8 needs a processor with VNNI instructions; choose precision=float32.")
    return name, precision


def onnx_is_here() -> bool:
    """Return whether onnxruntime, and onnx to write a graph for it, are installed."""
    return all(importlib.util.find_spec(package) for package in ("onnx", "onnxruntime"))


def bfloat16_pays(device: torch.device, cell: str) -> bool:
    """Return whether layers of such cells run faster in bfloat16 than in float32 on the device.

    On a CPU that is oneDNN's fused lstm. A processor that knows the type need not be faster with it: Intel's AVX-512
    instruction for it takes longer than the two of float32 that do the same (benchmarks/engine.py: 0.65 times the
    speed), so Intel's need the matrix unit, AMX. This is decided by the kind of processor, not measured, so that a
    machine always gives the same words.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu" or cell != "lstm":
        return False
    known = torch.cpu.get_capabilities()
    return bool(known.get("amx_bf16") or (known.get("avx512_bf16") and "Intel" not in known.get("cpu_name", "Intel")))


def int8_pays(device: torch.device, cell: str) -> bool:
    """Return whether onnxruntime's int8 is faster than float32 there for such cells, without saturation."""
    known = torch.cpu.get_capabilities()
    return device.type == "cpu" and cell == "lstm" and bool(known.get("avx512_vnni") or known.get("avx_vnni"))


def saturates() -> bool:
    """Return whether int8 products may overflow: an x86 processor without VNNI adds pairs of them in 16 bits."""
    known = torch.cpu.get_capabilities()
    return known.get("architecture") == "x86_64" and not (known.get("avx512_vnni") or known.get("avx_vnni"))
