"""Check of raw PCM from a pipe against the rate, format and channels that were given: nothing in it states them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import numpy as np

from speechrnn.audio.samples import as_floats

logger = logging.getLogger("speechrnn")

FULL_SCALE = 0.35  # mean absolute sample from which raw PCM is hardly sound: that of noise over the whole range is 0.5
UNEVEN = 3.0  # largest ratio of mean absolute samples at even and odd places, which are neighbours in a channel
RATES = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 192000)  # Hz
TURN_SECONDS = 4.0  # seconds of a turn; all turns must bring equally many samples
TURNS = 4  # number of turns; the first does not count, since it also brings what has waited in the pipe
STEADY = 0.04  # largest relative difference of a turn from a known rate; a third of it for all turns together
HELD_SECONDS = 0.05  # seconds without reading from the pipe after which its speed is unknown


class PcmCheck:
    """Warn once when samples can hardly have the rate, format and channels that were given.

    >>> check = PcmCheck(16000, "s16", 1)
    >>> check.accept(np.zeros((1600, 1), np.int16))

    There are three signs. Noise at full scale shows another format. Where every second sample is much louder than its
    neighbours, the samples are halves of 32-bit samples, or of two channels. Sound that arrives steadily at the speed
    of another common rate has that rate.
    """

    def __init__(
        self,
        rate: int,
        format: str,
        channels: int,
        *,
        timed: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            rate: Hz.
            format, channels: as the user calls them.
            timed: whether the samples come in real time, so that their speed shows the rate.
            clock: returns seconds.
        """
        self._rate = rate
        self._settings = f"format={format} rate={rate} channels={channels}"
        self._mono = channels == 1
        self._clock = clock
        self._left = rate  # samples of a second with sound whose values are still to be examined
        self._loudness = np.zeros(2)  # sums of absolute samples, of those at even and odd places
        self._place = 0
        self._timed = timed
        self._turn_began: float | None = None
        self._given: float | None = None  # time at which the last packet was passed on
        self._samples = 0  # of the turn
        self._turns: list[float] = []  # samples a second

    def accept(self, samples: np.ndarray) -> None:
        """Look at the next samples (samples, channels), integer or float with full scale 1.0, that the pipe gave."""
        if self._left > 0 and samples.any():
            self._check_values(samples)
        if self._timed:
            self._check_speed(len(samples))
        self._given = self._clock()

    def resume(self) -> None:
        """Note that the samples were taken, and the pipe is read again."""
        if self._given is not None and self._clock() - self._given > HELD_SECONDS:
            self._timed = False

    def _check_values(self, samples: np.ndarray) -> None:
        values = np.nan_to_num(np.abs(as_floats(samples)), nan=1.0, posinf=1.0).clip(max=1.0)
        self._left -= len(values)
        for parity in (0, 1):
            self._loudness[(self._place + parity) % 2] += float(values[parity::2].mean(1).sum())
        self._place += len(values)
        if self._left > 0:
            return
        if self._loudness.sum() / (self._rate - self._left) > FULL_SCALE:
            self._warn("The sound from the pipe is at full scale all the time, as noise is")
        elif self._mono and self._loudness.min() < self._loudness.max() / UNEVEN:
            self._warn(
                "Every second sample from the pipe is much louder than the others, as in format=s32 or channels=2"
            )

    def _check_speed(self, count: int) -> None:
        now = self._clock()
        if self._turn_began is None:
            self._turn_began = now
        self._samples += count
        seconds = now - self._turn_began
        if seconds < TURN_SECONDS:
            return
        self._turns.append(self._samples / seconds)
        self._turn_began, self._samples = now, 0
        if len(self._turns) == TURNS:
            self._timed = False
            self._compare(self._turns[1:])

    def _compare(self, speeds: list[float]) -> None:
        """Warn when all turns came at the speed of a known rate that is not the given one."""
        mean = sum(speeds) / len(speeds)
        rate = min(RATES, key=lambda known: abs(mean / known - 1))
        steady = abs(mean / rate - 1) < STEADY / 3 and all(abs(speed / rate - 1) < STEADY for speed in speeds)
        if steady and abs(rate / self._rate - 1) > STEADY:
            self._warn(
                f"The pipe brings {mean / self._rate:.2g} s of sound a second, steadily, as it would with rate={rate}"
                + (" (or other channels)" if rate % self._rate == 0 else "")
            )

    def _warn(self, sign: str) -> None:
        logger.warning("%s: check %s against what is sent.", sign, self._settings)
