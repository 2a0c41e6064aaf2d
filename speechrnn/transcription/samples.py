"""Samples in arrays and tensors, converted to what a model takes."""

from __future__ import annotations

import numpy as np
import torch

from speechrnn.audio import MIN_SECONDS, AudioError
from speechrnn.audio.samples import as_floats, checked_rate, loud_channel, wrong_sample
from speechrnn.transcription.transcript_warnings import TranscriptWarning, channels_cancel

UNKNOWN_RATE = -1  # of samples that came without one

Samples = np.ndarray | torch.Tensor
"""Samples (samples,), (channels, samples) or (samples, channels)."""


def to_channels(samples: Samples) -> np.ndarray:
    """Convert samples of any kind to float32 (channels, samples).

    Args:
        samples: float or integer, (samples,), (channels, samples) or (samples, channels); the longer axis is time.

    Returns:
        (channels, samples), full scale 1.0; NaN and infinite samples stay.

    Raises:
        AudioError: they are no sound.
    """
    if isinstance(samples, torch.Tensor):
        samples = _as_array(samples)
    array = samples
    if not isinstance(array, np.ndarray) or array.ndim not in (1, 2) or array.dtype.kind not in "fi":
        raise AudioError(
            "Samples must be a float or signed integer array of the shape (samples,), (channels, samples) or "
            "(samples, channels)."
        )
    if not array.size:
        return np.zeros((1, 0), np.float32)
    array = as_floats(array)
    if array.ndim == 1:
        return array[None]
    return array if np.argmin(array.shape) == 0 else array.T


def resampled(
    samples: Samples, rate: int, sampling_rate: int, warnings: list[TranscriptWarning] | None = None
) -> np.ndarray:
    """Convert samples of any kind to float32 (samples,) at the sampling rate.

    Args:
        samples: see `to_channels`; their mean is taken, or the loudest where they cancel each other out.
        rate: their own, Hz.
        sampling_rate: the wanted one, Hz.
        warnings: warnings about the sound are added to it.

    Raises:
        AudioError: they are no sound, or the rate is missing or none.
    """
    if isinstance(rate, int) and rate == UNKNOWN_RATE:
        raise AudioError("Samples need their rate: give sampling_rate=HZ, such as 16000, or pairs (samples, HZ).")
    channels = to_channels(samples)
    rate = checked_rate(rate)
    if min(channels.size, channels.shape[1]) < MIN_SECONDS * rate:
        count = min(channels.size, channels.shape[1])
        raise AudioError(f"{count} samples at {rate} Hz are too short to hold speech; check the sampling rate.")
    mono = channels[0] if len(channels) == 1 else channels.mean(0)
    if (wrong := wrong_sample(mono)) is not None:
        raise AudioError(f"There are {wrong[1]} (the first is number {wrong[0]}); repair what made them.")
    if len(channels) > 1:
        loud = loud_channel(np.square(channels).sum(1), float(np.square(mono).sum()))
        if loud is not None:
            mono = np.ascontiguousarray(channels[loud])
            if warnings is not None:
                warnings.append(channels_cancel(loud))
    if rate == sampling_rate:
        return mono
    import soxr

    return soxr.resample(mono, rate, sampling_rate)


def _as_array(samples: torch.Tensor) -> np.ndarray:
    try:
        samples = samples.detach().cpu()
        return samples.float().numpy() if samples.is_floating_point() else samples.numpy()
    except (TypeError, RuntimeError) as error:  # sparse, quantised, or without memory of its own
        raise AudioError(f"Samples must be in a plain tensor, not one of {samples.layout}, {samples.dtype}.") from error
