"""Augmentation of training speech: masks on features (SpecAugment), and speed, pauses, rooms, noise and volume.

The waveform functions take the random generator of one utterance in one epoch, so that a draw depends neither on the
batch nor on the number of workers nor on a resumption.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torchaudio.functional import add_noise, fftconvolve

from speechrnn.audio.codecs import CODECS, Codec, apply_codec
from speechrnn.audio.io import load_audio
from speechrnn.audio.paths import find_audio
from speechrnn.core.errors import UserError

QUIET_SECONDS = 0.05  # short enough to lie between two words
PAUSE_RANGE = 60.0  # dB below the room tone: for speech at a usual level as good as digital silence


@dataclass(frozen=True)
class SpecAugmentOptions:
    """Masks of SpecAugment (Park et al. 2019, https://arxiv.org/abs/1904.08779).

    >>> SpecAugmentOptions(time_masks=2).frequency_width
    15

    Attributes:
        frequency_masks: number of masked bands.
        frequency_width: greatest width of a band in bins.
        time_masks: number of masked intervals.
        time_width: greatest width of an interval in seconds.
        time_share: greatest share of an utterance in one interval, so that short utterances keep their words.
    """

    frequency_masks: int = field(default=2, metadata={"min": 0})
    frequency_width: int = field(default=15, metadata={"min": 0})
    time_masks: int = field(default=4, metadata={"min": 0})
    time_width: float = field(default=0.15, metadata={"min": 0.0})
    time_share: float = field(default=0.05, metadata={"min": 0.0, "max": 1.0})


class SpecAugment(nn.Module):
    """Set bands and intervals of normalised features to 0, their mean, in training; each row has its own masks.

    >>> augment = SpecAugment(SpecAugmentOptions(), hop=0.01).eval()
    >>> augment(torch.ones(1, 100, 80), torch.tensor([100])).sum().item()
    8000.0
    """

    def __init__(self, options: SpecAugmentOptions, hop: float) -> None:
        """Take the seconds between frames as `hop`."""
        super().__init__()
        self.options = options
        self.time_frames = round(options.time_width / hop)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Mask features (batch, frames, bins) with true lengths (batch,) in frames."""
        if not self.training:
            return features
        options = self.options
        _, frames, bins = features.shape
        widest = (lengths * options.time_share).floor().clamp_max(self.time_frames)
        intervals = self.draw_masks(options.time_masks, frames, lengths, widest=widest)
        bands = self.draw_masks(
            options.frequency_masks,
            bins,
            torch.full_like(lengths, bins),
            widest=torch.full_like(lengths, min(options.frequency_width, bins)),
        )
        return features.masked_fill(intervals.unsqueeze(2) | bands.unsqueeze(1), 0.0)

    @staticmethod
    def draw_masks(count: int, size: int, lengths: Tensor, widest: Tensor) -> Tensor:
        """Draw `count` intervals for each row.

        Args:
            count: intervals of a row.
            size: length of the padded rows.
            lengths: (batch,) the interval ends before it.
            widest: (batch,) greatest width.

        Returns:
            (batch, size) booleans.
        """
        draws = torch.rand(2, len(lengths), count, device=lengths.device)
        widths = (draws[0] * (widest[:, None] + 1)).floor()
        starts = (draws[1] * (lengths[:, None] - widths + 1)).floor()
        position = torch.arange(size, device=lengths.device)[:, None]
        inside = (position >= starts[:, None]) & (position < (starts + widths)[:, None])  # (batch, size, count)
        return inside.any(dim=2)


@dataclass(frozen=True)
class WaveformOptions:
    """Options of `WaveformAugment`.

    >>> WaveformOptions(noise=("noises",), snr=(5.0, 20.0)).noise_share
    0.5

    Attributes:
        speeds: factors of which one is drawn: 1.1 is faster and higher (Ko et al. 2015, "Audio augmentation for speech
            recognition").
        padding: greatest length in seconds of the pause that is added at either end, filled with the utterance's own
            room tone.
        volume: range of the gain in dB.
        noise: files or folders with noise; empty: no noise is added.
        noise_share: share of utterances with noise.
        snr: range of the signal-to-noise ratio in dB.
        rooms: files or folders with room impulse responses; empty: none are applied.
        room_share: share of utterances with reverberation.
        codecs: codecs of which one is drawn.
        codec_share: share of utterances that go through a codec.
    """

    speeds: tuple[float, ...] = (0.9, 1.0, 1.1)
    padding: float = field(default=0.5, metadata={"min": 0.0})
    volume: tuple[float, float] = (-6.0, 6.0)
    noise: tuple[str, ...] = ()
    noise_share: float = field(default=0.5, metadata={"min": 0.0, "max": 1.0})
    snr: tuple[float, float] = (10.0, 30.0)
    rooms: tuple[str, ...] = ()
    room_share: float = field(default=0.3, metadata={"min": 0.0, "max": 1.0})
    codecs: tuple[Codec, ...] = CODECS
    codec_share: float = field(default=0.0, metadata={"min": 0.0, "max": 1.0})


@dataclass(frozen=True)
class AugmentedWaveform:
    """A training waveform, and where the recording lies in it.

    Attributes:
        samples: (samples,) float32.
        start: first sample of the recording; before it there is only room tone.
        end: the sample behind its last one; from there on there is only room tone.

    Raises:
        ValueError: the recording lies outside the samples. (CTC would then allow labels nowhere.)
    """

    samples: np.ndarray
    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end <= len(self.samples):
            raise ValueError(f"start={self.start} and end={self.end} must lie within {len(self.samples)} samples")


class WaveformAugment:
    """Add pauses, reverberation, noise, gain and a codec to a waveform, in the order in which they occur physically.

    >>> augment = WaveformAugment(WaveformOptions(), 16000)
    >>> sound = augment(np.ones(16000, np.float32), np.random.default_rng(0))
    >>> sound.end - sound.start
    16000

    Attributes:
        noise_files: files that noises are read from.
        room_files: files that impulse responses are read from.
    """

    def __init__(self, options: WaveformOptions, sampling_rate: int) -> None:
        """Read the noises and impulse responses at the model's sampling rate in Hz.

        Raises:
            UserError: a speed is not positive, there is no codec to draw, or a noise or room file cannot be read.
        """
        if not options.speeds or min(options.speeds) <= 0:
            raise UserError(
                f"augmentation.waveform.speeds={list(options.speeds)} needs at least one factor, all above 0."
            )
        if options.codec_share > 0 and not options.codecs:
            raise UserError("augmentation.waveform.codecs=[] needs at least one codec, or codec_share=0.")
        self.options = options
        self.sampling_rate = sampling_rate
        self.noise_files: list[Path] = find_audio(list(options.noise))
        self.room_files: list[Path] = find_audio(list(options.rooms))
        self.noises = self._read(self.noise_files)
        self.rooms = [room / np.linalg.norm(room) for room in self._read(self.room_files) if room.any()]

    def _read(self, paths: list[Path]) -> list[np.ndarray]:
        return [load_audio(path, self.sampling_rate)[0] for path in paths]

    def draw_speed(self, generator: np.random.Generator) -> float:
        """Draw a speed factor, for `change_speed`; apart from the rest since its result is cached between epochs."""
        return float(generator.choice(self.options.speeds))

    def __call__(self, samples: np.ndarray, generator: np.random.Generator) -> AugmentedWaveform:
        """Augment samples (samples,) float32; the result is up to `padding` seconds longer at either end."""
        options = self.options
        speech_start, speech_end = 0, len(samples)
        if options.padding > 0:
            before, after = self.draw_pauses(samples, generator)
            speech_start, speech_end = len(before), len(before) + len(samples)
            samples = np.concatenate([before, samples, after])
        wave = torch.from_numpy(samples)
        if self.rooms and generator.random() < options.room_share:
            wave = reverberate(wave, torch.from_numpy(self.rooms[generator.integers(len(self.rooms))]))
        if self.noises and generator.random() < options.noise_share:
            noise = self.noises[generator.integers(len(self.noises))]
            noise_offset = int(generator.integers(len(noise)))
            noise = np.resize(np.roll(noise, -noise_offset), len(samples))  # repeated if shorter than the speech
            snr = torch.tensor(generator.uniform(*options.snr), dtype=torch.float32)
            if noise.any():  # digital silence has no signal-to-noise ratio
                wave = add_noise(wave, torch.from_numpy(noise), snr)
        gain = 10.0 ** (generator.uniform(*options.volume) / 20.0)
        samples = (wave * gain).numpy()
        if options.codec_share > 0 and generator.random() < options.codec_share:
            codec = options.codecs[generator.integers(len(options.codecs))]
            samples = apply_codec(samples, self.sampling_rate, codec, compression=generator.uniform())
        return AugmentedWaveform(samples, speech_start, speech_end)

    def draw_pauses(self, samples: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw a pause before and one after samples (samples,), each 0 to `padding` seconds of their own room tone.

        Without pauses, recordings of a corpus begin and end alike, and a bidirectional network can learn to write the
        first word at the first frame, before it is spoken. For every second utterance the pauses are quieter than the
        room, as in gated or edited recordings.
        """
        lengths = generator.uniform(0.0, self.options.padding * self.sampling_rate, size=2).round().astype(int)
        quiet = find_quietest(samples, round(QUIET_SECONDS * self.sampling_rate))
        tone = make_room_tone(quiet, lengths.sum(), generator)
        tone *= 10.0 ** (min(0.0, generator.uniform(-PAUSE_RANGE, PAUSE_RANGE)) / 20.0)
        return tone[: lengths[0]], tone[lengths[0] :]


def change_speed(samples: np.ndarray, factor: float) -> np.ndarray:
    """Resample (samples,) to `factor` times the speed, which scales pitch and formants too.

    >>> len(change_speed(np.zeros(1100, np.float32), 1.1))
    1000
    """
    if factor == 1.0:
        return samples
    import soxr

    return soxr.resample(samples, factor, 1.0, quality="HQ").astype(np.float32)


def reverberate(wave: Tensor, room: Tensor) -> Tensor:
    """Convolve (samples,) with a room impulse response; the direct sound, and so the labels, stay in place."""
    direct = int(room.abs().argmax())
    return fftconvolve(wave, room)[direct : direct + len(wave)]


def find_quietest(samples: np.ndarray, width: int) -> np.ndarray:
    """Return the `width` neighbouring samples with the least energy (or all, if fewer), minus their mean."""
    energy = np.cumsum(np.r_[0.0, np.square(samples, dtype=np.float64)])
    width = min(width, len(samples))
    start = int((energy[width:] - energy[:-width]).argmin())
    return samples[start : start + width] - samples[start : start + width].mean()


def make_room_tone(background: np.ndarray, length: int, generator: np.random.Generator) -> np.ndarray:
    """Make (length,) samples that sound like a short recording of background, without the buzz of its repetition.

    Copies overlap by half under a sine window, each rotated at random and with a random sign: they are uncorrelated, so
    that their powers add up to that of the background at every moment (granular synthesis).
    """
    half = (len(background) + 1) // 2
    background = np.resize(background, 2 * half)
    window = np.sin(np.pi * (np.arange(2 * half) + 0.5) / (2 * half))
    grains = length // half + 2
    tone: np.ndarray = np.zeros((grains + 1) * half, np.float32)
    for grain in range(grains):
        turned = np.roll(background, generator.integers(2 * half)) * generator.choice((-1.0, 1.0))
        tone[grain * half : (grain + 2) * half] += window * turned
    return tone[half : half + length]  # from where two copies overlap
