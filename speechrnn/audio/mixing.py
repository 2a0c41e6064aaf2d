"""The channels of a stream as one: their mean, or a loud one where they cancel each other out."""

from __future__ import annotations

import numpy as np

from speechrnn.audio.samples import SILENCE, loud_channel

CHECKED_SECONDS = 1.0  # of sound from which is told whether the channels cancel each other out


class StreamingMixer:
    """Mix the channels of a stream; the samples do not depend on its packets.

    >>> mixer = StreamingMixer(8000)
    >>> wave = np.sin(np.arange(8000, dtype=np.float32))
    >>> mixed = mixer.accept(np.stack([wave, -wave]))
    >>> mixer.loud_channel, bool(mixer.accept(np.stack([wave, -wave])).any())
    (0, True)

    Attributes:
        loud_channel: index of the channel that is taken, from the moment on at which the mix was found to be nearly
            silent for a second; None: the mix.
    """

    def __init__(self, sampling_rate: int) -> None:
        self.loud_channel: int | None = None
        self._size = max(1, round(CHECKED_SECONDS * sampling_rate))  # samples
        self._energies: np.ndarray = np.zeros(0)
        self._mix = 0.0
        self._count = 0

    def accept(self, channels: np.ndarray) -> np.ndarray:
        """Mix float32 (channels, samples) to (samples,)."""
        if len(channels) == 1:
            return channels[0]
        parts, place = [np.zeros(0, np.float32)], 0
        while place < channels.shape[1]:
            part = channels[:, place : place + self._size - self._count]
            place += part.shape[1]
            if self.loud_channel is not None and self.loud_channel < len(part):
                parts.append(part[self.loud_channel])
            else:
                parts.append(part.mean(0))
                self._check(part, parts[-1])
        return np.concatenate(parts)

    def _check(self, part: np.ndarray, mixed: np.ndarray) -> None:
        """Sum up energies, and compare them at the end of each second."""
        if len(self._energies) != len(part):
            self._energies, self._mix, self._count = np.zeros(len(part)), 0.0, 0
        self._energies += np.square(part, dtype=np.float64).sum(1)
        self._mix += float(np.square(mixed, dtype=np.float64).sum())
        self._count += part.shape[1]
        if self._count >= self._size:
            if self._energies.max() > self._count * SILENCE**2:
                self.loud_channel = loud_channel(self._energies, self._mix)
            self._energies, self._mix, self._count = np.zeros(len(part)), 0.0, 0
