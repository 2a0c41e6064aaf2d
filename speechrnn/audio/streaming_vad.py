"""Voice activity detection on a stream: the probability of speech while the samples come in."""

from __future__ import annotations

import importlib.util
from typing import Literal

import numpy as np
import torch

from speechrnn.audio.streaming import StreamingResampler
from speechrnn.audio.vad import LSTMState, SileroDetector

StreamDetectorName = Literal["auto", "silero", "none"]

CHUNKS_AT_ONCE = 4  # in one call of the network: always as many, so that the probabilities do not depend on packets


class StreamingSpeechDetector:
    """Run Silero VAD on a stream: the probabilities of `SileroDetector` over the whole, at any packet size.

    >>> detector = StreamingSpeechDetector(SileroDetector(), 16000)  # doctest: +SKIP
    >>> detector.accept(np.zeros(16000, np.float32)).shape  # doctest: +SKIP
    (28,)

    The probabilities come 128 ms at a time.
    """

    def __init__(self, detector: SileroDetector, sampling_rate: int) -> None:
        """
        Args:
            detector: the network, which several streams may share.
            sampling_rate: Hz, of the samples that come in.
        """
        self._detector = detector
        self._resampler = StreamingResampler(sampling_rate, detector.RATE)
        self._waiting = torch.zeros(detector.BEFORE)
        self._packets: list[torch.Tensor] = []
        self._samples = 0  # in the packets
        self._state: LSTMState | None = None

    def accept(self, samples: np.ndarray) -> np.ndarray:
        """Take the next float32 (samples,); return the (chunks,) probabilities that are new."""
        resampled = torch.from_numpy(np.ascontiguousarray(self._resampler.accept(samples)))
        self._packets.append(resampled)
        self._samples += len(resampled)
        return self._step() if self._samples >= CHUNKS_AT_ONCE * self._detector.SAMPLES else np.zeros(0, np.float32)

    def finish(self) -> np.ndarray:
        """Return the probabilities of the chunks that are left, as if silence followed; nothing may come after."""
        resampled = torch.from_numpy(self._resampler.finish())
        missing = -(self._samples + len(resampled)) % (CHUNKS_AT_ONCE * self._detector.SAMPLES)
        self._packets += [resampled, torch.zeros(missing)]
        self._samples += len(resampled) + missing
        return self._step()

    def _step(self) -> np.ndarray:
        """Run the network on the samples that wait, as far as they fill its calls."""
        step = CHUNKS_AT_ONCE * self._detector.SAMPLES
        joined = torch.cat([self._waiting, *self._packets])
        found, place = [np.zeros(0, np.float32)], 0
        while len(joined) - place >= self._detector.BEFORE + step:
            window = joined[place : place + self._detector.BEFORE + step]
            probabilities, self._state = self._detector.step(window, self._state)
            found.append(probabilities.numpy())
            place += step
        self._waiting, rest = joined[place : place + self._detector.BEFORE], joined[place + self._detector.BEFORE :]
        self._packets, self._samples = [rest.clone()], len(rest)
        return np.concatenate(found)


def build_stream_detector(name: StreamDetectorName) -> SileroDetector | None:
    """Build the network that the streams of a recogniser share.

    Args:
        name: "silero", "auto" for silero where it is installed, or "none".

    Returns:
        the network; None: everything counts as speech.

    Raises:
        UserError: silero is not installed.

    >>> build_stream_detector("none") is None
    True
    """
    if name == "none" or (name == "auto" and importlib.util.find_spec("silero_vad") is None):
        return None
    return SileroDetector()
