"""Engines against the eager model, and which of them a machine gets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from speechrnn.audio.features import FeatureOptions
from speechrnn.core.errors import UserError
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions
from speechrnn.transcription import runtime as engines
from speechrnn.transcription.runtime import choose, make_engine

CPU = torch.device("cpu")
INTEL = {"architecture": "x86_64", "cpu_name": "Intel Xeon", "avx512_bf16": True, "avx512_vnni": True}
SAPPHIRE = {**INTEL, "amx_bf16": True}
ZEN4 = {**INTEL, "cpu_name": "AMD EPYC"}
HASWELL = {"architecture": "x86_64", "cpu_name": "Intel Core"}
ARM = {"architecture": "aarch64"}

TOLERANCES = {"torch float32": 1e-5, "torch bfloat16": 0.05, "onnx float32": 1e-4, "onnx int8": 0.05}  # probability


@pytest.fixture(scope="module")
def model() -> AcousticModel:
    torch.manual_seed(0)
    network = AcousticModel(5, FeatureOptions(bins=16), AcousticOptions(units=24, layers=2, channels=3)).eval()
    with torch.no_grad():
        network.head.weight.mul_(5)
    return network


@pytest.fixture(scope="module")
def batch() -> tuple[Tensor, Tensor]:
    """Three rows of noise, padded with zeros: (batch, samples), (batch,)."""
    lengths = torch.tensor([16000, 9000, 3000])
    waveforms = torch.randn(3, 16000, generator=torch.Generator().manual_seed(1)) * 0.1
    return waveforms * (torch.arange(16000) < lengths[:, None]), lengths


def make(model: AcousticModel, name: str) -> Any:
    engine, precision = name.split()
    if engine == "onnx":
        pytest.importorskip("onnxruntime")
        if precision == "int8" and engines.saturates():
            pytest.skip("this processor has no VNNI")
    made = make_engine(model, None, engine, device=CPU, precision=precision)  # type: ignore[arg-type]
    assert made.name == name
    return made


@pytest.mark.parametrize("name", TOLERANCES)
def test_hears_what_the_model_hears_at_any_padding(
    name: str, model: AcousticModel, batch: tuple[Tensor, Tensor]
) -> None:
    engine = make(model, name)
    waveforms, lengths = batch
    with torch.inference_mode():
        expected, expected_frames = model(waveforms, lengths)
    found, frames = engine(waveforms, lengths)
    assert found.dtype == torch.float32 and frames.tolist() == expected_frames.tolist()
    for number, (length, count) in enumerate(zip(lengths.tolist(), frames.tolist(), strict=True)):
        alone, (of_alone,) = engine(waveforms[number : number + 1, :length], lengths[number : number + 1])
        assert of_alone == count and alone.shape == (1, count, 5)
        for output in (found[number, :count], alone[0]):
            assert output.exp().sum(1) == pytest.approx(torch.ones(count), abs=1e-4)
            assert float((output.exp() - expected[number, :count].exp()).abs().max()) < TOLERANCES[name]
        if name == "onnx int8":
            assert torch.equal(found[number, :count], alone[0])
    assert expected[0].exp().std(0).max() > 0.1


@pytest.mark.parametrize("name", TOLERANCES)
def test_several_threads_may_call_at_once(name: str, model: AcousticModel, batch: tuple[Tensor, Tensor]) -> None:
    engine = make(model, name)
    expected = engine(*batch)[0]
    with ThreadPoolExecutor(4) as pool:
        for found, _ in pool.map(lambda _: engine(*batch), range(24)):
            torch.testing.assert_close(found, expected, rtol=0, atol=0.01)


def test_another_precision_leaves_the_model_as_it_was(model: AcousticModel) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    make(model, "torch bfloat16")
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == before[name].dtype and torch.equal(tensor, before[name])


@pytest.mark.parametrize(
    ("machine", "onnx", "cell", "given", "expected"),
    [
        (SAPPHIRE, True, "lstm", ("auto", "auto"), ("torch", "bfloat16")),
        (ZEN4, True, "lstm", ("auto", "auto"), ("torch", "bfloat16")),
        (INTEL, True, "lstm", ("auto", "auto"), ("onnx", "int8")),
        (INTEL, False, "lstm", ("auto", "auto"), ("torch", "float32")),
        (INTEL, True, "gru", ("auto", "auto"), ("torch", "float32")),
        (ZEN4, True, "gru", ("auto", "auto"), ("torch", "float32")),
        (HASWELL, True, "lstm", ("auto", "auto"), ("torch", "float32")),
        (ARM, True, "lstm", ("auto", "auto"), ("torch", "float32")),
        ({}, True, "lstm", ("auto", "auto"), ("torch", "float32")),
        (ZEN4, True, "lstm", ("auto", "float32"), ("torch", "float32")),
        (ZEN4, True, "lstm", ("auto", "int8"), ("onnx", "int8")),
        (ZEN4, True, "lstm", ("onnx", "auto"), ("onnx", "int8")),
        (HASWELL, True, "lstm", ("onnx", "auto"), ("onnx", "float32")),
        (INTEL, True, "gru", ("onnx", "auto"), ("onnx", "float32")),
        (INTEL, True, "lstm", ("torch", "auto"), ("torch", "float32")),
        (HASWELL, True, "lstm", ("auto", "bfloat16"), ("torch", "bfloat16")),
    ],
)
def test_auto_goes_by_the_machine(
    machine: dict[str, Any],
    onnx: bool,
    cell: str,
    given: tuple[str, str],
    expected: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: machine)
    monkeypatch.setattr(engines, "onnx_is_here", lambda: onnx)
    assert choose(*given, CPU, cell) == expected


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("onix", "auto", CPU, "lstm"), r"^engine=onix is unknown; did you mean onnx\?$"),
        (("vosk", "auto", CPU, "lstm"), r"^engine=vosk is unknown; choose auto, torch, onnx\.$"),
        (("auto", "bfloat", CPU, "lstm"), r"^precision=bfloat is unknown; did you mean bfloat16\?$"),
        (("torch", "int8", CPU, "lstm"), r"^engine=torch has no precision=int8; choose float32 or bfloat16\.$"),
        (("onnx", "bfloat16", CPU, "lstm"), r"^engine=onnx has no precision=bfloat16; choose float32 or int8\.$"),
        (("onnx", "auto", torch.device("mps"), "lstm"), r"^engine=onnx runs on the CPU, not on device=mps; "),
        (("auto", "int8", CPU, "gru"), r"^talk/acoustic has gru layers, and onnxruntime has int8 for lstm "),
    ],
)
def test_what_does_not_go_is_refused_in_one_sentence(given: tuple[Any, ...], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        name, precision, device, cell = given
        choose(name, precision, device, cell=cell, folder=Path("talk/acoustic"))


def test_int8_that_would_overflow_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: HASWELL)
    with pytest.raises(UserError, match="VNNI"):
        choose("auto", "int8", CPU, cell="lstm")
