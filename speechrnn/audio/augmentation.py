"""Training speech made more varied: masks on features, and what rooms and microphones do to a waveform.

Every function draws from a generator that the caller seeds for one utterance of one epoch, so that a draw depends
on nothing else: not on the batch, not on the number of workers, not on a resumption.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torchaudio.functional import add_noise, fftconvolve

from speechrnn.audio.io import find_audio, load_audio
from speechrnn.core.errors import UserError

QUIET = 0.05  # seconds: short enough to lie between two words
QUIETER = 60.0  # dB below the room tone: for speech at a usual level as good as digital silence


@dataclass(frozen=True)
class SpecAugmentOptions:
    """Masks of Park et al. 2019, "SpecAugment".

    Attributes:
        frequency_masks, frequency_width: number of masked bands, and their greatest width in bins.
        time_masks: number of masked stretches.
        time_width: greatest width of a stretch in seconds.
        time_share: greatest share of an utterance that one stretch may take, so that short ones keep their words.
    """

    frequency_masks: int = field(default=2, metadata={"min": 0})
    frequency_width: int = field(default=15, metadata={"min": 0})
    time_masks: int = field(default=4, metadata={"min": 0})
    time_width: float = field(default=0.15, metadata={"min": 0.0})
    time_share: float = field(default=0.05, metadata={"min": 0.0, "max": 1.0})


class SpecAugment(nn.Module):
    """Sets bands and stretches of normalised features to 0, their mean; each row draws its own. Rests in evaluation."""

    def __init__(self, options: SpecAugmentOptions, hop: float) -> None:
        """`hop`: seconds between frames."""
        super().__init__()
        self.options = options
        self.time_frames = round(options.time_width / hop)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """(batch, frames, bins), (batch,) -> the same shape."""
        if not self.training:
            return features
        options = self.options
        _, frames, bins = features.shape
        widest = (lengths * options.time_share).floor().clamp_max(self.time_frames)
        stretches = self.masks(options.time_masks, frames, lengths, widest)
        bands = self.masks(
            options.frequency_masks,
            bins,
            torch.full_like(lengths, bins),
            torch.full_like(lengths, min(options.frequency_width, bins)),
        )
        return features.masked_fill(stretches.unsqueeze(2) | bands.unsqueeze(1), 0.0)

    @staticmethod
    def masks(count: int, size: int, lengths: Tensor, widest: Tensor) -> Tensor:
        """`count` random intervals a row within its length: (batch,), (batch,) -> (batch, size) booleans."""
        draws = torch.rand(2, len(lengths), count, device=lengths.device)
        widths = (draws[0] * (widest[:, None] + 1)).floor()
        starts = (draws[1] * (lengths[:, None] - widths + 1)).floor()
        position = torch.arange(size, device=lengths.device)[:, None]
        inside = (position >= starts[:, None]) & (position < (starts + widths)[:, None])  # (batch, size, count)
        return inside.any(dim=2)


@dataclass(frozen=True)
class WaveformOptions:
    """What happens to a training waveform.

    Attributes:
        speeds: factors of which one is drawn: 1.1 is faster and higher (Ko et al. 2015).
        padding: most seconds of the utterance's own room tone that either end gets; how many is drawn for each end.
        volume: range of gain in dB.
        noise: files or folders with noise; none of it when empty.
        noise_share: share of utterances that get noise.
        snr: range of the signal-to-noise ratio in dB.
        rooms: files or folders with room impulse responses.
        room_share: share of utterances heard in a room.
    """

    speeds: tuple[float, ...] = (0.9, 1.0, 1.1)
    padding: float = field(default=0.5, metadata={"min": 0.0})
    volume: tuple[float, float] = (-6.0, 6.0)
    noise: tuple[str, ...] = ()
    noise_share: float = field(default=0.5, metadata={"min": 0.0, "max": 1.0})
    snr: tuple[float, float] = (10.0, 30.0)
    rooms: tuple[str, ...] = ()
    room_share: float = field(default=0.3, metadata={"min": 0.0, "max": 1.0})


@dataclass(frozen=True)
class AugmentedWaveform:
    """A recording as a network hears it in training.

    Attributes:
        samples: (samples,) float32.
        start, end: the samples between which the recording lies. Before and after there is only room tone.
    """

    samples: np.ndarray
    start: int
    end: int


class WaveformAugment:
    """Speed, pauses before and after, room, noise and volume, in the order in which nature applies them."""

    def __init__(self, options: WaveformOptions, sampling_rate: int) -> None:
        """Reads the noises and rooms once, at the model's rate.

        Raises:
            UserError: a speed that is not positive, or a noise or room file that cannot be read.
        """
        if not options.speeds or min(options.speeds) <= 0:
            raise UserError(
                f"augmentation.waveform.speeds={list(options.speeds)} needs at least one factor, all above 0."
            )
        self.options = options
        self.sampling_rate = sampling_rate
        self.noises = self._read(options.noise)
        self.rooms = [room / np.linalg.norm(room) for room in self._read(options.rooms) if room.any()]

    def _read(self, places: tuple[str, ...]) -> list[np.ndarray]:
        if not places:
            return []
        paths: list[Path] = find_audio(list(places))
        return [load_audio(path, self.sampling_rate)[0] for path in paths]

    def draw_speed(self, generator: np.random.Generator) -> float:
        """Draws a speed factor; apart from the rest because a changed speed can be kept for the next epochs."""
        return float(generator.choice(self.options.speeds))

    def __call__(self, samples: np.ndarray, generator: np.random.Generator) -> AugmentedWaveform:
        """(samples,) float32 -> as many, and up to `padding` seconds more at either end."""
        options = self.options
        start, end = 0, len(samples)
        if options.padding > 0:
            before, after = self.pauses(samples, generator)
            start, end = len(before), len(before) + len(samples)
            samples = np.concatenate([before, samples, after])
        wave = torch.from_numpy(samples)
        if self.rooms and generator.random() < options.room_share:
            wave = reverberate(wave, torch.from_numpy(self.rooms[generator.integers(len(self.rooms))]))
        if self.noises and generator.random() < options.noise_share:
            noise = self.noises[generator.integers(len(self.noises))]
            start = int(generator.integers(len(noise)))
            noise = np.resize(np.roll(noise, -start), len(samples))  # repeated where it is shorter than the speech
            snr = torch.tensor(generator.uniform(*options.snr), dtype=torch.float32)
            if noise.any():  # a stretch of digital silence can be brought to no ratio
                wave = add_noise(wave, torch.from_numpy(noise), snr)
        gain = 10.0 ** (generator.uniform(*options.volume) / 20.0)
        return AugmentedWaveform((wave * gain).numpy(), start, end)

    def pauses(self, samples: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Room tone of (samples,), 0 to `padding` seconds of it to stand before them, and as much drawn anew for after.

        Recordings of a corpus tend to begin and end alike, and a network that hears all of one at once can then learn
        to write the first word at the first frame, before it is said. For every second utterance the pauses are quieter
        than its room, since recordings are gated and edited, and normalisation then shifts what is heard.
        """
        lengths = generator.uniform(0.0, self.options.padding * self.sampling_rate, size=2).round().astype(int)
        tone = room_tone(quietest(samples, round(QUIET * self.sampling_rate)), lengths.sum(), generator)
        tone *= 10.0 ** (min(0.0, generator.uniform(-QUIETER, QUIETER)) / 20.0)
        return tone[: lengths[0]], tone[lengths[0] :]


def change_speed(samples: np.ndarray, factor: float) -> np.ndarray:
    """Plays (samples,) `factor` times as fast, pitch and formants with it; the length is divided by `factor`."""
    if factor == 1.0:
        return samples
    import soxr

    return soxr.resample(samples, factor, 1.0, quality="HQ").astype(np.float32)


def reverberate(wave: Tensor, room: Tensor) -> Tensor:
    """Convolves (samples,) with an impulse response; the direct sound stays where it was, so labels stay in time."""
    direct = int(room.abs().argmax())
    return fftconvolve(wave, room)[direct : direct + len(wave)]


def quietest(samples: np.ndarray, width: int) -> np.ndarray:
    """The `width` neighbouring samples with the least energy, their mean taken off; all samples if they are fewer."""
    energy = np.cumsum(np.r_[0.0, np.square(samples, dtype=np.float64)])
    width = min(width, len(samples))
    start = int((energy[width:] - energy[:-width]).argmin())
    return samples[start : start + width] - samples[start : start + width].mean()


def room_tone(stretch: np.ndarray, length: int, generator: np.random.Generator) -> np.ndarray:
    """(length,) samples that sound like a short stretch of background, without the buzz of its repetition.

    Copies overlap by half, each rotated at random and with a random sign, under a sine window: they are not
    correlated, so that their powers add up to that of the stretch at every moment.
    """
    half = (len(stretch) + 1) // 2
    stretch = np.resize(stretch, 2 * half)
    window = np.sin(np.pi * (np.arange(2 * half) + 0.5) / (2 * half))
    grains = length // half + 2
    tone: np.ndarray = np.zeros((grains + 1) * half, np.float32)
    for grain in range(grains):
        turned = np.roll(stretch, generator.integers(2 * half)) * generator.choice((-1.0, 1.0))
        tone[grain * half : (grain + 2) * half] += window * turned
    return tone[half : half + length]  # from where two copies overlap
