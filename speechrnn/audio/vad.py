"""Voice activity detection: the probability of speech in every 32 ms of a recording.

`SileroDetector` is Silero VAD, a small network whose wheel carries its weights. `EnergyDetector` needs no package and
compares loudness only. `segmentation.py` cuts recordings by their probabilities.
"""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import soxr
import torch
import torch.nn.functional as F
from torch import nn

from speechrnn.core.errors import UserError

CHUNK = 0.032  # seconds of one probability
CHUNKS_PER_SECOND = 31.25
WARM_UP = 32.0  # seconds, in whole chunks: what comes before changes one probability of Silero in 1,000

_BATCH = 64  # waveforms that go through the network together
_ENCODED = 1024  # chunks that are encoded at a time: 4 MB of spectra
_STRIDES = (1, 2, 2, 1)  # of Silero's four convolutions, in frames
_STEPS = 4096  # chunks that the LSTM takes at a time: 8 MB of gates a waveform


LSTMState = tuple[torch.Tensor, torch.Tensor]
"""Hidden state and cell of an LSTM, (1, units) each."""


class SpeechDetector(Protocol):
    """A voice activity detector; see `build_detector`.

    >>> detector: SpeechDetector = build_detector("energy")
    >>> [probabilities] = detector([np.zeros(16000, np.float32)], 16000)
    >>> probabilities.shape, bool(probabilities.max() < 0.5)
    ((32,), True)

    Attributes:
        name: the name that `build_detector` takes.
    """

    name: str

    def __call__(self, waveforms: Sequence[np.ndarray], sampling_rate: int) -> list[np.ndarray]:
        """Compute the probability of speech in each chunk.

        Args:
            waveforms: float32 (samples,) each, of any length, also 0.
            sampling_rate: Hz, of all of them.

        Returns:
            for each waveform float32 (chunks,), the probability of speech, 0 to 1, in each `CHUNK` begun.
        """
        ...


def count_chunks(samples: int, sampling_rate: int) -> int:
    """Return the number of chunks begun in a number of samples.

    >>> count_chunks(16001, 16000)
    32
    """
    return -(-samples * 125 // (sampling_rate * 4))


class SileroDetector:
    """Run Silero VAD (https://github.com/snakers4/silero-vad) on many waveforms at once.

    Spectrum and convolutions of a chunk do not depend on other chunks and are computed for all chunks at once; only
    the LSTM after them goes from chunk to chunk. The result is that of the wheel's own model, which takes one
    chunk at a time, to float precision.

    Raises:
        UserError: the package is not installed, or of a version whose network is another one.
    """

    name = "silero"

    RATE = 16000  # Hz
    SAMPLES = 512  # of a chunk
    BEFORE = 64  # samples of the previous chunk that are a part of each input
    _FFT, _HOP = 256, 128  # samples
    _UNITS = 128

    def __init__(self) -> None:
        threads = torch.get_num_threads()
        try:
            from silero_vad import load_silero_vad
        except ImportError as error:
            raise UserError(
                "vad=silero needs the package silero-vad: pip install 'speechrnn[vad]', or choose vad=energy."
            ) from error
        finally:
            torch.set_num_threads(threads)  # importing that package sets it to 1 for the whole process
        weights = {name: value for name, value in load_silero_vad().state_dict().items() if "_8k" not in name}
        self._lstm = nn.LSTM(self._UNITS, self._UNITS)
        try:
            self._basis = weights["_model.stft.forward_basis_buffer"].reshape(2 + self._FFT, self._FFT)
            parts = [f"_model.encoder.{number}.reparam_conv" for number in range(len(_STRIDES))]
            self._layers = _as_products([(weights[f"{part}.weight"], weights[f"{part}.bias"]) for part in parts])
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            self._lstm.load_state_dict({f"{name}_l0": weights[f"_model.decoder.rnn.{name}"] for name in names})
            self._output = weights["_model.decoder.decoder.2.weight"].reshape(1, self._UNITS)
            self._bias = weights["_model.decoder.decoder.2.bias"]
        except (KeyError, RuntimeError) as error:
            raise UserError(
                "The network in the installed silero-vad is unknown here: pip install 'silero-vad>=6,<7'."
            ) from error
        self._lstm.requires_grad_(False)

    @torch.inference_mode()
    def __call__(self, waveforms: Sequence[np.ndarray], sampling_rate: int) -> list[np.ndarray]:
        """Compute probabilities as `SpeechDetector` does; other rates than 16 kHz are resampled."""
        probabilities: dict[int, np.ndarray] = {}
        order = sorted(range(len(waveforms)), key=lambda number: len(waveforms[number]))
        for start in range(0, len(order), _BATCH):
            numbers = order[start : start + _BATCH]
            counts = [count_chunks(len(waveforms[number]), sampling_rate) for number in numbers]
            frames = [
                self._frames(waveforms[number], sampling_rate, count)
                for number, count in zip(numbers, counts, strict=True)
            ]
            encoded = self._encode(frames)
            padded = nn.utils.rnn.pad_sequence(list(encoded.split(counts)))  # (chunks, batch, units)
            state, found = None, []
            for steps in padded.split(_STEPS):
                hidden, state = self._lstm(steps, state)
                found.append(torch.sigmoid(F.linear(hidden.relu_(), self._output, self._bias)).squeeze(-1))
            rows = torch.cat(found).T.numpy()  # (batch, chunks)
            for number, count, row in zip(numbers, counts, rows, strict=True):
                probabilities[number] = row[:count].copy()
        return [probabilities[number] for number in range(len(waveforms))]

    @torch.inference_mode()
    def step(self, samples: torch.Tensor, state: LSTMState | None) -> tuple[torch.Tensor, LSTMState]:
        """Compute the probabilities of the next chunks of a stream.

        Args:
            samples: (BEFORE + chunks * SAMPLES,) at 16 kHz, of which the first `BEFORE` stand before the chunks.
            state: what the chunks before have left; None: there are none.

        Returns:
            (chunks,) probabilities, and the state after them.
        """
        windows = samples.unfold(0, self.BEFORE + self.SAMPLES, self.SAMPLES)
        hidden, state = self._lstm(self._encode([windows]), state)
        return torch.sigmoid(F.linear(hidden.relu(), self._output, self._bias)).squeeze(-1), state

    def _frames(self, samples: np.ndarray, sampling_rate: int, count: int) -> torch.Tensor:
        """Cut (samples,) into (count, BEFORE + SAMPLES), with zeros before the beginning and after the end."""
        if sampling_rate != self.RATE and count:
            samples = soxr.resample(samples, sampling_rate, self.RATE)
        padded = torch.zeros(self.BEFORE + count * self.SAMPLES)
        samples = samples[: count * self.SAMPLES]
        padded[self.BEFORE : self.BEFORE + len(samples)] = torch.from_numpy(np.asarray(samples, np.float32))
        if not count:
            return padded.new_zeros(0, self.BEFORE + self.SAMPLES)
        return padded.unfold(0, self.BEFORE + self.SAMPLES, self.SAMPLES)

    def _encode(self, frames: Sequence[torch.Tensor]) -> torch.Tensor:
        """Encode [(chunks, BEFORE + SAMPLES)] as (all chunks, _UNITS)."""
        encoded = [torch.zeros(0, self._UNITS)]
        for part in _join(frames, _ENCODED):
            # 640 samples with the reflection, so 4 frames of 256
            windows = F.pad(part, (0, self.BEFORE), "reflect").unfold(1, self._FFT, self._HOP)
            spectra = windows.reshape(-1, self._FFT) @ self._basis.T  # real parts, then imaginary parts
            real, imaginary = spectra.tensor_split(2, dim=1)
            x = (real.square() + imaginary.square()).sqrt_().view(len(part), -1)
            for matrix, bias in self._layers:
                x = torch.addmm(bias, x, matrix).relu_()
            encoded.append(x)
        return torch.cat(encoded)


class EnergyDetector:
    """Treat sound that is louder than its background as speech.

    The background is the quietest sound of the seconds around, so that it follows a fan that starts or a microphone
    that moves away. Noise that comes and goes, and music, count as speech.
    """

    name = "energy"

    _SEGMENT = 31  # chunks (1 s) of which the background is the quiet tenth
    _AROUND = 8  # such segments on either side among which the quietest counts
    _MIDDLE, _SLOPE = 6.0, 1.5  # dB above the background for a probability of 0.5, and for one of 0.73 instead
    _QUIET = -65.0  # dB of full scale; the background is never below, so that the noise of 16-bit samples is no speech

    def __call__(self, waveforms: Sequence[np.ndarray], sampling_rate: int) -> list[np.ndarray]:
        """Compute probabilities as `SpeechDetector` does."""
        return [self._detect(samples, sampling_rate) for samples in waveforms]

    def _detect(self, samples: np.ndarray, sampling_rate: int) -> np.ndarray:
        count = count_chunks(len(samples), sampling_rate)
        if not count:
            return np.zeros(0, np.float32)
        loudness = self._loudness(samples, sampling_rate, count)
        starts = range(0, count, self._SEGMENT)
        quiet = np.array([np.quantile(loudness[start : start + self._SEGMENT], 0.1) for start in starts])
        floor = np.array([quiet[max(0, n - self._AROUND) : n + self._AROUND + 1].min() for n in range(len(quiet))])
        above = loudness - np.maximum(np.repeat(floor, self._SEGMENT)[:count], self._QUIET)
        return (1 / (1 + np.exp((self._MIDDLE - above) / self._SLOPE))).astype(np.float32)

    @staticmethod
    def _loudness(samples: np.ndarray, sampling_rate: int, count: int) -> np.ndarray:
        """Return (chunks,) in dB of full scale, of differences of samples, so that hum and offsets weigh little."""
        power: np.ndarray = np.zeros(len(samples), np.float32)
        np.square(np.diff(samples), out=power[1:])
        edges: np.ndarray = np.arange(count) * sampling_rate * 4 // 125
        sizes: np.ndarray = np.diff(np.append(edges, len(samples)))
        return 10 * np.log10(np.add.reduceat(power, edges) / sizes + 1e-10)


def detector_name(name: str) -> str:
    """Return the name of the detector that `build_detector` builds: "auto" is silero where it is installed, or energy.

    >>> detector_name("energy")
    'energy'
    """
    if name != "auto":
        return name
    return "energy" if importlib.util.find_spec("silero_vad") is None else "silero"


def build_detector(name: str) -> SpeechDetector | None:
    """Build a detector.

    Args:
        name: "silero", "energy", "auto" for silero where it is installed and energy elsewhere, or "none".

    Returns:
        the detector; None for "none".

    Raises:
        UserError: another name, or silero is not installed.

    >>> build_detector("energy").name
    'energy'
    """
    name = detector_name(name)
    if name == "silero":
        return SileroDetector()
    if name == "energy":
        return EnergyDetector()
    if name == "none":
        return None
    raise UserError(f"vad={name} is unknown; choose auto, silero, energy or none.")


def _as_products(convolutions: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Turn convolutions into matrices (frames x channels before, frames x channels after) and biases.

    A chunk has four frames; one matrix product over all of them takes two thirds of the time.
    """
    layers, frames = [], 4
    for (weight, bias), stride in zip(convolutions, _STRIDES, strict=True):
        channels = weight.shape[1]
        unit = torch.eye(frames * channels).view(-1, frames, channels).transpose(1, 2)
        response = F.conv1d(unit, weight, None, stride, padding=1)  # (frames x channels before, channels, frames)
        frames = response.shape[2]
        layers.append((response.transpose(1, 2).flatten(1), bias.repeat(frames)))
    return layers


def _join(parts: Sequence[torch.Tensor], size: int) -> Iterator[torch.Tensor]:
    """Yield the rows of all parts in tensors of at most `size` rows, short parts together."""
    held: list[torch.Tensor] = []
    for row in itertools.chain.from_iterable(part.split(size) for part in parts):
        if held and sum(map(len, held)) + len(row) > size:
            yield torch.cat(held)
            held = []
        held.append(row)
    if held:
        yield torch.cat(held)
