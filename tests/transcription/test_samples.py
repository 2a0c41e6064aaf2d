"""Tests of samples in arrays and tensors of any kind."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.audio import AudioError
from speechrnn.transcription.samples import UNKNOWN_RATE, resampled, to_channels
from speechrnn.transcription.transcript_warnings import TranscriptWarning

RATE = 16000  # Hz
STEREO = np.stack([np.full(1600, 0.5), np.full(1600, -0.25)]).astype(np.float32)


@pytest.mark.parametrize(
    "samples",
    [
        STEREO,
        STEREO.T,
        STEREO.astype(np.float64),
        torch.from_numpy(STEREO).requires_grad_(),
        torch.from_numpy(STEREO).to(torch.float16),
        (STEREO * 32768).astype(np.int16),
        torch.from_numpy((STEREO.T * 2**31).astype(np.int32)),
    ],
)
def test_any_kind_of_samples_has_the_same_channels(samples: Any) -> None:
    channels = to_channels(samples)
    assert channels.dtype == np.float32
    np.testing.assert_allclose(channels, STEREO, atol=1e-3)


@given(st.integers(1, 50))
def test_one_axis_is_one_channel(count: int) -> None:
    assert to_channels(np.zeros(count, np.float32)).shape == (1, count)


@pytest.mark.parametrize("samples", [[0.0, 1.0], "text", np.zeros((1, 2, 3)), np.zeros(()), np.array(["a"]), None])
def test_what_is_no_sound_is_refused(samples: Any) -> None:
    with pytest.raises(AudioError, match="Samples must be"):
        to_channels(samples)


@pytest.mark.parametrize(
    ("samples", "rate", "part"),
    [
        (STEREO, UNKNOWN_RATE, "sampling_rate=HZ"),
        (STEREO, 0, "rate must be .* not 0"),
        (STEREO, math.nan, "rate must be .* not nan"),  # on which the resampler never ends
        (STEREO, math.inf, "rate must be .* not inf"),
        (STEREO, 10**400, "rate must be"),
        (STEREO, 12000.5, "rate must be .* not 12000.5"),
        (STEREO, True, "rate must be .* not True"),
        (STEREO, "16000", "rate must be"),
        (STEREO, None, "rate must be .* not None"),
        (STEREO, 100, "rate must be .* not 100"),
        (STEREO[:, :0], RATE, "0 samples .* too short"),
        (STEREO[:0], RATE, "0 samples .* too short"),
        (STEREO * np.float32(1e35), RATE, "far beyond any full scale"),
        (STEREO[:, :10], RATE, "too short"),
        (np.where(STEREO > 0, math.nan, 0.0), RATE, "NaN"),
    ],
)
def test_samples_that_cannot_be_speech_are_refused(samples: np.ndarray, rate: Any, part: str) -> None:
    with pytest.raises(AudioError, match=part):
        resampled(samples, rate, RATE)


@pytest.mark.parametrize(
    "samples",
    [torch.zeros(RATE).to_sparse(), torch.zeros(RATE, device="meta"), torch.zeros(RATE, dtype=torch.complex64)],
)
def test_tensors_of_an_odd_kind_are_refused(samples: torch.Tensor) -> None:
    with pytest.raises(AudioError, match="Samples must be"):
        to_channels(samples)


def test_channels_that_cancel_each_other_are_not_averaged() -> None:
    tone = np.sin(np.arange(RATE) / 20).astype(np.float32)
    warnings: list[TranscriptWarning] = []
    found = resampled(np.stack([tone, -tone]), RATE, RATE, warnings=warnings)
    assert np.abs(found).max() > 0.9 and [warning.kind for warning in warnings] == ["channels_cancel"]


def test_another_rate_is_converted() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000).astype(np.float32)
    assert len(resampled(tone, 8000, RATE)) == RATE
    assert resampled(tone, RATE, RATE) is not None and len(resampled(tone, RATE, RATE)) == 8000


@pytest.mark.parametrize("shape", [(0,), (0, 100), (100, 0), (2, 0), (0, 0)])
def test_no_samples_are_one_channel_of_none(shape: tuple[int, ...]) -> None:
    assert to_channels(np.zeros(shape, np.float32)).shape == (1, 0)
