"""The packets of a stream as samples that the network takes: finite, of one channel, at the model's rate."""

from __future__ import annotations

import logging

import numpy as np
import torch
from torch import Tensor

from speechrnn.audio.mixing import StreamingMixer
from speechrnn.audio.samples import checked_rate
from speechrnn.audio.streaming import StreamingResampler
from speechrnn.transcription.samples import Samples, to_channels
from speechrnn.transcription.stream_warnings import StreamWarnings
from speechrnn.transcription.transcript_warnings import channels_cancel

logger = logging.getLogger("speechrnn")

LOUDEST = 8.0  # times full scale, to which samples are cut: more is no sound


class StreamInput:
    """Convert the packets of a stream.

    >>> from speechrnn.decoding.model_facts import ModelFacts
    >>> packets = StreamInput(16000, 16000, StreamWarnings(ModelFacts(), 16000))
    >>> packets.accept(np.array([16384, 0], np.int16), last=False)
    tensor([0.5000, 0.0000])

    Raises:
        AudioError: no such sampling rate.
    """

    def __init__(self, rate: int, sampling_rate: int, warnings: StreamWarnings) -> None:
        """
        Args:
            rate: Hz, of the samples that come in.
            sampling_rate: Hz, of the model.
            warnings: of the stream; warnings about its sound are added.
        """
        rate = checked_rate(rate)
        self._mixer = StreamingMixer(rate)
        self._resampler = StreamingResampler(rate, sampling_rate)
        self._warnings = warnings
        self._logged: set[str] = set()
        self._ended = False

    def check(self, packet: Samples) -> None:
        """Raise what `accept` would raise, and change nothing."""
        if self._ended:
            raise ValueError("the stream has ended; begin another one")
        to_channels(packet)

    def accept(self, packet: Samples, last: bool) -> Tensor:
        """Convert the next samples to float32 (samples,) at the model's rate.

        Args:
            packet: see `Streamer.accept`.
            last: whether the stream ends with them.

        Raises:
            ValueError: the stream has ended.
            AudioError: the samples are no sound.
        """
        self.check(packet)
        self._ended = last
        samples = self._resampler.accept(self._clean(packet))
        if last:
            samples = np.concatenate([samples, self._resampler.finish()])
        return torch.from_numpy(np.ascontiguousarray(samples))

    def _clean(self, packet: Samples) -> np.ndarray:
        """Convert samples of any kind to finite float32 (samples,), full scale 1.0."""
        channels = to_channels(packet)
        if not np.isfinite(channels).all():
            self._log("NaN", "The stream holds NaN or infinite samples; they count as silence.")
            channels = np.where(np.isfinite(channels), channels, np.float32(0.0))
        samples = self._mixer.accept(channels)
        if self._mixer.loud_channel is not None:
            self._warnings.add(channels_cancel(self._mixer.loud_channel))
        if len(samples) and float(np.abs(samples).max()) > LOUDEST:
            self._log(
                "loud",
                "The samples are far above full scale 1.0; give integers as an integer array, and check the format.",
            )
            samples = np.clip(samples, -LOUDEST, LOUDEST)
        return samples

    def _log(self, kind: str, message: str) -> None:
        """Log a warning once a stream."""
        if kind not in self._logged:
            self._logged.add(kind)
            logger.warning(message)
