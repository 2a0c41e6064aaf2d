"""Samples of recordings as NumPy arrays: their type, silence, and channels that cancel each other out."""

from __future__ import annotations

import numpy as np

from speechrnn.audio.errors import AudioError

RATES = (1_000, 1_000_000)  # Hz; a rate outside is a mistake, and resampling from it takes all memory, or for ever
HIGHEST = 2.0**31  # times full scale, of samples that were never divided by theirs; their squares are far from infinity
SILENCE = 2.0**-13  # of full scale (-78 dB): four steps of a 16-bit sample
CANCELLED = 0.01  # 20 dB: energy of the mix against that of the louder channel


def checked_rate(rate: object) -> int:
    """Return a sampling rate that a caller gives, in Hz.

    >>> checked_rate(16000.0)
    16000

    Raises:
        AudioError: it is no whole number, or no rate of sound.
    """
    number = rate if isinstance(rate, (int, float, np.integer, np.floating)) and not isinstance(rate, bool) else 0
    if RATES[0] <= number <= RATES[1] and number == int(number):
        return int(number)
    raise AudioError(
        f"The sampling rate must be a whole number from {RATES[0]} to {RATES[1]} (Hz), such as 16000, not {rate}."
    )


def wrong_sample(samples: np.ndarray) -> tuple[int, str] | None:
    """Return the place of the first sample that is no sound, and what is wrong with it; None: all are sound.

    >>> wrong_sample(np.array([0.5, np.nan]))
    (1, 'NaN or infinite samples')

    Args:
        samples: (samples,) of a type of float.
    """
    if samples.size == 0 or np.abs(samples).max() <= HIGHEST:  # False of NaN, too
        return None
    place = int(np.argmin(np.abs(samples) <= HIGHEST))
    return place, "NaN or infinite samples" if not np.isfinite(samples[place]) else "samples far beyond any full scale"


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
