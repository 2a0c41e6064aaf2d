"""Samples of recordings as NumPy arrays: their type, silence, and channels that cancel each other out."""

from __future__ import annotations

import numpy as np

SILENCE = 2.0**-13  # of full scale (-78 dB): four steps of a 16-bit sample
CANCELLED = 0.01  # 20 dB: energy of the mix against that of the louder channel


def is_silent(samples: np.ndarray) -> bool:
    """Return whether the range of samples (samples,) is at most `SILENCE`.

    That is digital silence, also under dither or a constant offset; the noise of a quiet room is louder.

    >>> is_silent(np.full(16000, 0.3, np.float32))
    True
    """
    return samples.size == 0 or bool(np.ptp(samples) <= SILENCE)


def loud_channel(energies: np.ndarray, mix: float) -> int | None:
    """Return the channel with the most energy where the mix of all has nearly none; None: take the mix.

    >>> loud_channel(np.array([1.0, 1.1]), mix=0.002)
    1

    Args:
        energies: (channels,) sums of squared samples.
        mix: the same of the mean of the channels.
    """
    if not np.isfinite(energies).all() or mix >= CANCELLED * energies.max():
        return None
    return int(energies.argmax())


def as_floats(samples: np.ndarray) -> np.ndarray:
    """Convert float or integer samples of any shape to float32 of full scale 1.0.

    >>> as_floats(np.array([16384, -32768], np.int16)).tolist()
    [0.5, -1.0]
    """
    if samples.dtype.kind == "i":
        return samples.astype(np.float32) / -float(np.iinfo(samples.dtype).min)
    return samples.astype(np.float32, copy=False)
