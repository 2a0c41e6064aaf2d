"""Resampling and features of a stream: each part keeps the end of what came before, until the next samples follow."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from speechrnn.audio.features import FLOOR, FrontEnd, KaldiFilterBank, LogMel
from speechrnn.core.errors import UserError


class StreamingResampler:
    """Resample a stream; joined, the outputs are those of `soxr.resample` over the whole, at any packet size.

    >>> resampler = StreamingResampler(8000, 16000)
    >>> parts = [resampler.accept(np.zeros(400, np.float32)) for _ in range(4)] + [resampler.finish()]
    >>> sum(map(len, parts))
    3200

    Attributes:
        rate: Hz, of the samples that come in.
        sampling_rate: Hz, of those that go out.
    """

    def __init__(self, rate: int, sampling_rate: int) -> None:
        self.rate = rate
        self.sampling_rate = sampling_rate
        self._stream = None
        if rate != sampling_rate:
            import soxr

            self._stream = soxr.ResampleStream(rate, sampling_rate, 1, dtype="float32")

    def accept(self, samples: np.ndarray) -> np.ndarray:
        """Resample float32 (samples,); the filter holds back some milliseconds until more come."""
        if self._stream is None or not len(samples):
            return samples
        return self._stream.resample_chunk(samples)

    def finish(self) -> np.ndarray:
        """Return the samples that the filter still holds; nothing may follow."""
        if self._stream is None:
            return np.zeros(0, np.float32)
        return self._stream.resample_chunk(np.zeros(0, np.float32), last=True)


class StreamingFrontEnd:
    """Compute the features of `FrontEnd` window by window.

    Attributes:
        hop: samples between two frames.
        before: zeros that stand before the first sample, so that the first window is centred on it.
        window: samples of a window.

    Raises:
        UserError: the features of a frame depend on the whole utterance.
    """

    def __init__(self, front_end: FrontEnd) -> None:
        options = front_end.options
        if options.normalisation == "utterance":
            raise UserError(
                "features.normalisation=utterance needs the whole recording; train with features.normalisation=level "
                "(or training) to recognise live, or take a model that was, such as english."
            )
        extract = front_end.extract
        if not isinstance(extract, LogMel | KaldiFilterBank):
            raise UserError(
                f"features={options.kind} looks beyond its window; train with features=log_mel or kaldi to "
                "recognise live, or take a model that was, such as english."
            )
        self._extract = extract
        self._normalise = front_end.normalise
        self.hop = extract.hop_samples
        self.window = extract.window_samples
        self.before = 0
        if isinstance(extract, LogMel):  # as torch.stft with center=True, whose window stands amid fft_size samples
            self.before = extract.fft_size // 2 - (extract.fft_size - extract.window_samples) // 2

    def samples(self, frames: int) -> int:
        """Return how many samples the first `frames` frames need."""
        return (frames - 1) * self.hop + self.window - self.before

    def start(self, device: torch.device | str = "cpu") -> list[Tensor]:
        """Return what stands before the first sample: (1, before) zeros, and (1,) the level if it is followed."""
        follower = self._normalise.level
        level = [] if follower is None else [follower.start(1)]
        return [torch.zeros(1, self.before, device=device), *level]

    def step(self, tensors: list[Tensor], samples: Tensor, last: bool) -> tuple[Tensor, list[Tensor]]:
        """Compute the frames whose windows are complete.

        Args:
            tensors: (batch, n) samples from the next window's beginning on, and (batch,) the level if it is followed.
            samples: (batch, m) that follow.
            last: whether the stream ends with them.

        Returns:
            (batch, frames, dimensions), and the new tensors.
        """
        waiting = torch.cat([tensors[0], samples], 1)
        count = (waiting.shape[1] - self.window) // self.hop + 1
        if last and self.before:
            count = (waiting.shape[1] - self.before) // self.hop + 1
            missing = (count - 1) * self.hop + self.window - waiting.shape[1]
            waiting = torch.nn.functional.pad(waiting, (0, max(0, missing)))
        if count < 1:
            return waiting.new_zeros(len(waiting), 0, self._extract.dimensions), [waiting, *tensors[1:]]
        features = self._analyse(waiting[:, : (count - 1) * self.hop + self.window])
        waiting = waiting[:, count * self.hop :]
        if self._normalise.kind == "none":
            return features, [waiting]
        features, level = self._normalise.standardise(features, tensors[1] if len(tensors) > 1 else None)
        return features, [waiting] if level is None else [waiting, level]

    def _analyse(self, samples: Tensor) -> Tensor:
        """Compute features (batch, frames, dimensions) of (batch, samples), whose first window begins at once."""
        if isinstance(self._extract, KaldiFilterBank):
            return self._extract(samples, torch.tensor([samples.shape[1]], device=samples.device))[0]
        windows = samples.unfold(1, self.window, self.hop) * self._extract.window
        power = torch.fft.rfft(windows, self._extract.fft_size).abs().square()
        return torch.log(power @ self._extract.filters + FLOOR)
