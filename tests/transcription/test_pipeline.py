"""Exceptions of the detector, the network, the decoder and later blocks of a file are one recording's failure each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from speechrnn.audio.features import FeatureOptions
from speechrnn.audio.segmentation import SegmentationOptions
from speechrnn.core.failures import MachineError
from speechrnn.decoding.hypothesis import DecodingResult
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions
from speechrnn.text.tokenizers import CharTokenizer
from speechrnn.transcription import pipeline, reader
from speechrnn.transcription.pipeline import Pipeline
from speechrnn.transcription.recognizer import Recognizer
from speechrnn.transcription.transcriber import Transcriber
from speechrnn.transcription.transcript import Failure, Transcript

RATE = 16000  # Hz
BAD = 0.5  # level of the recording at which parts of the pipeline raise
WINDOW = SegmentationOptions(vad="none", window=10.0)

Break = Callable[[Recognizer, pytest.MonkeyPatch, Exception], Recognizer]


def sound(level: float, seconds: float) -> np.ndarray:
    """(samples,) whose first sample is the level."""
    samples = np.random.default_rng(0).uniform(-0.1, 0.1, round(seconds * RATE)).astype(np.float32)
    samples[::1000] = level
    return samples


@pytest.fixture
def recognizer() -> Recognizer:
    torch.manual_seed(0)
    tokenizer = CharTokenizer.build([], "ABC ")
    model = AcousticModel(len(tokenizer), FeatureOptions(bins=4), AcousticOptions(units=2, layers=1, channels=1))
    return Transcriber(model, tokenizer, "small", device="cpu", segmentation=WINDOW).recognizer()


def break_detector(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch, error: Exception) -> Recognizer:
    """Raise over clips, and over parts of longer recordings."""

    class Detector:
        name = "broken"

        def __call__(self, waveforms: Sequence[np.ndarray], sampling_rate: int) -> list[np.ndarray]:
            if any(np.ptp(samples) > BAD for samples in waveforms):
                raise error
            return [np.ones(round(len(samples) / sampling_rate * 31.25) + 1, np.float32) for samples in waveforms]

    return replace(recognizer, detector=Detector())


def break_network(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch, error: Exception) -> Recognizer:
    """Raise over batches with a window of the bad recording."""
    engine = recognizer.engine

    class Engine:
        name = "broken"

        def __call__(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
            if waveforms.max() >= BAD:
                raise error
            return engine(waveforms, lengths)

    return replace(recognizer, engine=Engine())


def break_decoder(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch, error: Exception) -> Recognizer:
    """Raise over batches with a segment of the bad recording, whose network marks them."""
    engine, decoder = recognizer.engine, recognizer.decoder

    class Engine:
        name = "marking"

        def __call__(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
            log_probs, frames = engine(waveforms, lengths)
            return torch.where((waveforms.amax(1) >= BAD)[:, None, None], -99.0, log_probs), frames

    class Decoder:
        name = "broken"

        def __call__(self, log_probs: Tensor, frames: Tensor) -> list[DecodingResult]:
            if (log_probs == -99.0).any():
                raise error
            return decoder(log_probs, frames)

    return replace(recognizer, engine=Engine(), decoder=Decoder())


def break_blocks(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch, error: Exception) -> Recognizer:
    """Raise while the last block of the bad recording is read."""
    resampled = reader.resampled

    class Samples:
        def __init__(self, samples: np.ndarray) -> None:
            self.samples = samples

        def __len__(self) -> int:
            return len(self.samples)

        def __getitem__(self, part: slice) -> np.ndarray:
            if part.stop >= len(self.samples) and self.samples.max() >= BAD:
                raise error
            return self.samples[part]

    monkeypatch.setattr(reader, "resampled", lambda *given: Samples(resampled(*given)))
    return recognizer


def break_joining(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch, error: Exception) -> Recognizer:
    """Raise when the transcript of the bad recording is made."""
    assemble = pipeline.assemble

    def broken(audio: str, *given: Any, **more: Any) -> Transcript:
        if audio == "samples 2":
            raise error
        return assemble(audio, *given, **more)

    monkeypatch.setattr(pipeline, "assemble", broken)
    return recognizer


PARTS = [break_detector, break_network, break_decoder, break_blocks, break_joining]


def run(recognizer: Recognizer, seconds: float) -> Iterator[Transcript | Failure]:
    """Transcribe clips and recordings of several windows, among which the third is bad."""
    levels = [0.1, 0.2, BAD, 0.1, 0.2]
    sources = [(sound(level, seconds if number == 2 else 3 + 9 * number), RATE) for number, level in enumerate(levels)]
    return Pipeline(recognizer, sources, 60.0, threads=2, ordered=True).run()


@pytest.mark.parametrize("seconds", [2.0, 35.0])
@pytest.mark.parametrize("part", PARTS)
def test_an_exception_over_one_recording_is_its_failure(
    recognizer: Recognizer, part: Break, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = list(run(part(recognizer, monkeypatch, ValueError("odd")), seconds))
    assert [isinstance(result, Failure) for result in results] == [False, False, True, False, False]
    failure = results[2]
    assert isinstance(failure, Failure) and failure.reason == "samples 2: ValueError: odd."
    assert failure.details is not None and "Traceback" in failure.details


@pytest.mark.parametrize("part", PARTS)
def test_a_fault_of_the_machine_ends_the_job(
    recognizer: Recognizer, part: Break, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MachineError, match="No space left"):
        list(run(part(recognizer, monkeypatch, OSError(28, "No space left on device")), 35.0))
