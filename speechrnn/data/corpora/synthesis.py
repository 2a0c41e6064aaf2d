"""Utterances of the synthetic corpus: their random parameters and their audio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from speechrnn.core.errors import UserError
from speechrnn.data.corpora import SPLITS, espeak, grammar

MARGIN = 0.1  # seconds of background before the first sound and after the last
_SILENT = 60.0  # dB below the loudest frame; espeak's pauses are digital silence
_FRAME, _HOP = 0.032, 0.008  # seconds, of the search for the first and the last sound
_PEAK = 0.97  # of full scale, which no sample exceeds


@dataclass(frozen=True)
class Settings:
    """Settings that all utterances of a corpus share; pairs are the bounds of uniform distributions.

    Attributes:
        seed: of everything that is drawn.
        sampling_rate: of the audio, Hz.
        voices: split -> espeak-ng's voices that speak in it, in turn.
        sentences: texts to draw from; None: the sentences of `grammar`.
        rate: words a minute.
        pitch: espeak's scale from 0 to 100, where 50 is the voice's own.
        pitch_range: the same, of its ups and downs.
        noises: colours of the background noise; none: no noise.
        snr: speech to noise, dB.
        level: root mean square of speech and noise together, dB of full scale.
    """

    seed: int
    sampling_rate: int
    voices: dict[str, tuple[str, ...]]
    sentences: tuple[str, ...] | None
    rate: tuple[int, int]
    pitch: tuple[int, int]
    pitch_range: tuple[int, int]
    noises: tuple[Literal["white", "pink"], ...]
    snr: tuple[float, float]
    level: tuple[float, float]


@dataclass(frozen=True)
class Draw:
    """Random parameters of an utterance."""

    id: str
    text: str
    voice: str
    rate: int  # words a minute
    pitch: int
    pitch_range: int
    noise: Literal["white", "pink"] | None
    snr: float  # dB
    level: float  # dB of full scale
    seed: int  # of espeak's breath and of the noise


def draw(settings: Settings, split: str, index: int) -> Draw:
    """Draw utterance `index` of a split, by (seed, split, index): a larger corpus begins like a smaller one."""
    random = np.random.default_rng([settings.seed, SPLITS.index(split), index])
    voices, sentences, noises = settings.voices[split], settings.sentences, settings.noises
    return Draw(
        id=f"{split}-{index:05d}",
        voice=voices[index % len(voices)],
        rate=int(random.integers(*settings.rate, endpoint=True)),
        pitch=int(random.integers(*settings.pitch, endpoint=True)),
        pitch_range=int(random.integers(*settings.pitch_range, endpoint=True)),
        noise=noises[random.integers(len(noises))] if noises else None,
        snr=round(float(random.uniform(*settings.snr)), 2),
        level=round(float(random.uniform(*settings.level)), 2),
        seed=int(random.integers(2**31)),
        # Last, because a sentence takes more or fewer draws.
        text=grammar.draw(random) if sentences is None else sentences[random.integers(len(sentences))],
    )


def record(drawn: Draw, sampling_rate: int) -> espeak.Speech:
    """Synthesise an utterance: trimmed to `MARGIN` on both sides, in noise, at its level.

    Returns:
        Samples (samples,) at `sampling_rate`; the times of the words count from the first of them.

    Raises:
        UserError: see `espeak.speak`; or the sentence has no sound.
    """
    import soxr
    from librosa.effects import trim

    spoken = espeak.speak(
        drawn.text,
        drawn.voice,
        rate=drawn.rate,
        pitch=drawn.pitch,
        pitch_range=drawn.pitch_range,
        seed=drawn.seed,
    )
    samples = np.asarray(soxr.resample(spoken.samples, spoken.sampling_rate, sampling_rate), dtype=np.float32)
    if not np.any(samples):
        raise UserError(f"The sentence {drawn.text!r} has no sound; take it out of corpus.sentences.")
    frames: dict[str, Any] = {
        "frame_length": round(_FRAME * sampling_rate),
        "hop_length": round(_HOP * sampling_rate),
    }
    speech, (start, _) = trim(samples, top_db=_SILENT, **frames)
    margin = round(MARGIN * sampling_rate)
    mixed = np.pad(speech, margin)
    if drawn.noise is not None:
        power = float(np.mean(np.square(speech)))
        noise = coloured_noise(drawn.noise, len(mixed), np.random.default_rng(drawn.seed))
        mixed = mixed + noise * np.float32(np.sqrt(power * 10 ** (-drawn.snr / 10)))
    gain = 10 ** (drawn.level / 20) / float(np.sqrt(np.mean(np.square(mixed))))
    mixed = mixed * np.float32(min(gain, _PEAK / float(np.abs(mixed).max())))
    offset = (margin - int(start)) / sampling_rate
    words = tuple(espeak.SpokenWord(w.word, round(w.start + offset, 4), round(w.end + offset, 4)) for w in spoken.words)
    return espeak.Speech(mixed, sampling_rate, words)


def coloured_noise(colour: Literal["white", "pink"], samples: int, random: np.random.Generator) -> np.ndarray:
    """Draw Gaussian noise of root mean square 1, float32 (samples,); the power of pink falls by 3 dB an octave."""
    if colour == "pink":
        size = 1 << (samples - 1).bit_length()  # a power of two: other lengths can cost fifty times as much
        spectrum = np.fft.rfft(random.standard_normal(size))
        spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
        noise = np.fft.irfft(spectrum, size)[:samples]
    else:
        noise = random.standard_normal(samples)
    return (noise / np.sqrt(np.mean(np.square(noise)))).astype(np.float32)
