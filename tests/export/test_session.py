"""Tests of the acoustic model on onnxruntime: its emissions are those of torch, whatever the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.acoustic_models import RATE, save_listener

from speechrnn.data.dataset import pad
from speechrnn.nn.acoustic import AcousticModel, load_acoustic

pytest.importorskip("onnxruntime")

from speechrnn.export.session import OnnxEngine


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> AcousticModel:
    return load_acoustic(save_listener(tmp_path_factory.mktemp("model")))[0]


@pytest.fixture(scope="module")
def waveforms() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.standard_normal(round(s * RATE)).astype(np.float32) * 0.1 for s in (0.9, 0.3, 0.6)]


def test_emissions_are_those_of_torch(model: AcousticModel, waveforms: list[np.ndarray]) -> None:
    engine = OnnxEngine(model)
    found, frames = engine(*pad(waveforms))
    with torch.inference_mode():
        expected, lengths = model(*pad(waveforms))
    assert engine.name == "onnx float32" and torch.equal(frames, lengths)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(found[row, :length], expected[row, :length], atol=1e-3, rtol=0)


@pytest.mark.parametrize("int8", [False, True])
def test_emissions_do_not_depend_on_the_batch(model: AcousticModel, waveforms: list[np.ndarray], int8: bool) -> None:
    engine = OnnxEngine(model, int8)
    together, frames = engine(*pad(waveforms))
    for row, waveform in enumerate(waveforms):
        alone, (length,) = engine(*pad([waveform]))
        assert frames[row] == length
        torch.testing.assert_close(together[row, :length], alone[0, :length], atol=1e-4, rtol=0)


def test_int8_is_near(model: AcousticModel, waveforms: list[np.ndarray]) -> None:
    exact, frames = OnnxEngine(model)(*pad(waveforms))
    rounded, _ = OnnxEngine(model, int8=True)(*pad(waveforms))
    inside = torch.arange(exact.shape[1]) < frames[:, None]
    assert (exact.exp() - rounded.exp())[inside].abs().mean() < 0.1
