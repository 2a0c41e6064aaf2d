"""An exported acoustic model against the eager one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from speechrnn.audio.features import FeatureOptions
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions
from speechrnn.text.tokenizers import CharTokenizer

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from speechrnn.export.acoustic import acoustic_graph  # noqa: E402

TOLERANCE = 1e-4  # of log-probabilities
FEATURES = FeatureOptions(sampling_rate=8000, bins=16)
OPTIONS = AcousticOptions(units=12, layers=2, channels=3)
TOKENIZER = CharTokenizer.build([], "ABÄ ")
LENGTHS = (8000, 5555, 1200, 210)  # samples; the last is about one window

VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "as it comes": ({}, {}),
    "gru": ({}, {"cell": "gru"}),
    "rnn_tanh": ({}, {"cell": "rnn_tanh"}),
    "one direction": ({}, {"bidirectional": False}),
    "bare": ({}, {"layer_norm": False, "residual": False}),
    "stacked frames": ({}, {"subsampling": "stack"}),
    "wide stride": ({}, {"stride": 4}),
    "no stride": ({}, {"stride": 1, "subsampling": "stack"}),
    "mfcc": ({"kind": "mfcc"}, {}),
    "mfcc without deltas": ({"kind": "mfcc", "deltas": 0}, {"subsampling": "stack"}),
    "kaldi": ({"kind": "kaldi"}, {}),
    "training statistics": ({"normalisation": "training"}, {}),
    "level": ({"normalisation": "level"}, {}),
    "no normalisation": ({"normalisation": "none"}, {}),
    "odd window": ({"window": 0.0251, "high": 3000.0}, {}),
    "window of a power of two": ({"window": 0.032, "kind": "kaldi"}, {}),
}


def make(features: dict[str, Any], options: dict[str, Any]) -> AcousticModel:
    torch.manual_seed(0)
    model = AcousticModel(len(TOKENIZER), replace(FEATURES, **features), replace(OPTIONS, **options)).eval()
    with torch.no_grad():
        model.head.weight.mul_(5)  # an untrained network hardly prefers anything
        model.front_end.normalise.mean.uniform_(-8, -4)
        model.front_end.normalise.deviation.uniform_(1, 3)
    return model


def session(model: AcousticModel) -> Any:
    return onnxruntime.InferenceSession(
        acoustic_graph(model, TOKENIZER).SerializeToString(), providers=["CPUExecutionProvider"]
    )


def sound(lengths: tuple[int, ...], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Noise that goes up and down, padded with zeros: (batch, samples), (batch,)."""
    generator = torch.Generator().manual_seed(seed)
    waveforms = torch.randn(len(lengths), max(lengths), generator=generator) * 0.1
    waveforms *= torch.sin(torch.arange(max(lengths)) / 300).abs()
    for row, length in zip(waveforms, lengths, strict=True):
        row[length:] = 0
    return waveforms, torch.tensor(lengths)


def run(found: Any, waveforms: Tensor, lengths: Tensor) -> tuple[np.ndarray, list[int]]:
    log_probs, frames = found.run(None, {"waveforms": waveforms.numpy(), "lengths": lengths.numpy()})
    return log_probs, frames.tolist()


@pytest.mark.parametrize("name", VARIANTS)
def test_equals_eager_alone_and_in_a_batch_at_any_padding(name: str) -> None:
    model = make(*VARIANTS[name])
    exported = session(model)
    waveforms, lengths = sound(LENGTHS)
    with torch.inference_mode():
        expected, frames = model(waveforms, lengths)
    for padding in (0, 1, 777):
        found, counts = run(exported, torch.nn.functional.pad(waveforms, (0, padding)), lengths)
        assert counts == frames.tolist()
        for row, other, count in zip(found, expected, counts, strict=True):
            assert row[:count] == pytest.approx(other[:count].numpy(), abs=TOLERANCE)
    for number, length in enumerate(LENGTHS):
        alone, counts = run(exported, waveforms[number : number + 1, :length], lengths[number : number + 1])
        assert counts == [frames[number]] and alone.shape[1] == counts[0]
        assert alone[0] == pytest.approx(expected[number, : counts[0]].numpy(), abs=TOLERANCE)
    spread = expected[0, : frames[0]].exp().std(0).max()
    assert spread > 0.05  # the network does say different things at different times


@settings(max_examples=20)
@given(st.lists(st.integers(150, 4000), min_size=1, max_size=5), st.integers(0, 100))
def test_equals_eager_at_any_lengths(lengths: list[int], seed: int) -> None:
    for kind in ("log_mel", "kaldi"):
        waveforms, counts = sound(tuple(lengths), seed)
        with torch.inference_mode():
            expected, frames = MODELS[kind](waveforms, counts)
        found, found_frames = run(SESSIONS[kind], waveforms, counts)
        assert found_frames == frames.tolist()
        for row, other, count in zip(found, expected, found_frames, strict=True):
            assert row[:count] == pytest.approx(other[:count].numpy(), abs=TOLERANCE)


MODELS = {kind: make({"kind": kind}, {}) for kind in ("log_mel", "kaldi")}
SESSIONS = {kind: session(model) for kind, model in MODELS.items()}


def test_silence_is_finite() -> None:
    for exported in SESSIONS.values():
        log_probs, _ = run(exported, torch.zeros(2, 4000), torch.tensor([4000, 1000]))
        assert np.isfinite(log_probs).all()


def test_metadata_says_how_to_use_it() -> None:
    found = SESSIONS["log_mel"].get_modelmeta().custom_metadata_map
    assert found["kind"] == "acoustic"
    assert json.loads(found["alphabet"]) == TOKENIZER.symbols
    assert int(found["sampling_rate"]) == 8000
    assert float(found["seconds_per_frame"]) == MODELS["log_mel"].seconds_per_frame
    inputs = {value.name: value.shape for value in SESSIONS["log_mel"].get_inputs()}
    assert inputs == {"waveforms": ["batch", "samples"], "lengths": ["batch"]}
    outputs = {value.name: value.shape for value in SESSIONS["log_mel"].get_outputs()}
    assert outputs == {"log_probs": ["batch", "network_frames", len(TOKENIZER)], "frames": ["batch"]}
