"""Tests of the features as ONNX operators: each kind is that of torch, at the edges too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from speechrnn.audio.features import FeatureOptions, FrontEnd
from speechrnn.data.dataset import pad

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from speechrnn.export.front_end import add_front_end, basis  # noqa: E402
from speechrnn.export.graph import Graph  # noqa: E402

OPTIONS: dict[str, dict[str, Any]] = {
    "log-mel": {},
    "log-mel, not normalised": {"normalisation": "none"},
    "log-mel, training statistics": {"normalisation": "training"},
    "log-mel, level": {"normalisation": "level"},
    "kaldi, level": {"kind": "kaldi", "normalisation": "level"},
    "mfcc": {"kind": "mfcc"},
    "mfcc without deltas": {"kind": "mfcc", "deltas": 0},
    "kaldi": {"kind": "kaldi"},
}


def run(module: FrontEnd, waveforms: torch.Tensor, lengths: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    graph = Graph()
    features, frames = add_front_end(graph, module, "waveforms", lengths="lengths")
    graph("Identity", features, name="features")
    graph("Identity", frames, name="frames")
    model = graph.model(
        "front end",
        [("waveforms", np.float32, ["batch", "samples"]), ("lengths", np.int64, ["batch"])],
        [("features", np.float32, ["batch", "time", module.dimensions]), ("frames", np.int64, ["batch"])],
        metadata={},
    )
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(None, {"waveforms": waveforms.numpy(), "lengths": lengths.numpy()})
    return found[0], found[1]


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
@pytest.mark.parametrize("lengths", [(8000, 3001, 210), (199,), (80,)])
def test_features_are_those_of_torch(options: dict[str, Any], lengths: tuple[int, ...]) -> None:
    generator = np.random.default_rng(0)
    waveforms = pad([generator.standard_normal(length).astype(np.float32) * 0.1 for length in lengths])
    module = FrontEnd(FeatureOptions(sampling_rate=8000, bins=16, **options)).eval()
    with torch.inference_mode():
        features, frames = module(*waveforms)
    found, counts = run(module, *waveforms)
    assert counts.tolist() == frames.tolist()
    for row, count in enumerate(counts):
        np.testing.assert_allclose(found[row, :count], features[row, :count].numpy(), atol=2e-3)


def test_a_spectrum_is_a_product_with_cosines_and_sines() -> None:
    window = np.random.default_rng(0).standard_normal(6)
    parts = (window @ basis(6, 8)).reshape(2, 5)
    np.testing.assert_allclose(np.square(parts).sum(0), np.abs(np.fft.rfft(window, 8)) ** 2)
