"""Transcribers around networks whose output the tests know, or must find unchanged."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from speechrnn.audio.features import FeatureOptions
from speechrnn.audio.segmentation import SegmentationOptions
from speechrnn.data.dataset import pad
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions
from speechrnn.nn.recurrent import Blocks
from speechrnn.text.tokenizers import CharTokenizer
from speechrnn.transcription.transcriber import Transcriber

RATE = 16000  # Hz, of all models here


TOKENIZER = CharTokenizer.build([], "ABC ")


ALL = SegmentationOptions(vad="none")  # the signals of these tests are not speech


LOUD = SegmentationOptions(vad="energy")


def noise(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """Return noise (samples,) whose loudness rises and falls four times a second, so that outputs change over time."""
    time = np.arange(round(seconds * rate)) / rate
    loudness = 0.3 * (1 + np.sin(8 * np.pi * time)) / 2
    return (np.random.default_rng(seed).standard_normal(len(time)) * loudness).astype(np.float32).clip(-1, 1)


def talkative(example: np.ndarray, kind: str = "log_mel", **acoustic: int | str) -> AcousticModel:
    """Return a network with random weights and peaked outputs, whose symbols are equally probable on average."""
    torch.manual_seed(0)
    options = AcousticOptions(**{"units": 24, "layers": 2, "channels": 4, **acoustic})  # type: ignore[arg-type]
    model = AcousticModel(len(TOKENIZER), FeatureOptions(kind=kind, bins=20), options).eval()  # type: ignore[arg-type]
    with torch.inference_mode():
        model.head.weight.mul_(20)
        model.head.bias.zero_()
        log_probs, _ = model(*pad([example]))
        model.head.bias.copy_(-log_probs[0].mean(0))
    return model


class Scripted(AcousticModel):
    """Emit the symbols of a script, one a frame of 30 ms, each with probability 0.9; then blanks."""

    name = "scripted"

    def __init__(self, script: str) -> None:
        super().__init__(len(TOKENIZER), FeatureOptions(bins=4), AcousticOptions(units=2, layers=1, channels=1))
        self.script = [TOKENIZER.symbols.index(letter) if letter != "_" else 0 for letter in script]

    def forward(self, waveforms: Tensor, lengths: Tensor, blocks: Blocks | None = None) -> tuple[Tensor, Tensor]:
        frames = self.frames(lengths)
        log_probs = torch.full((len(waveforms), int(frames.max()), len(TOKENIZER)), math.log(0.1 / 4))
        for frame in range(log_probs.shape[1]):
            log_probs[:, frame, self.script[frame] if frame < len(self.script) else 0] = math.log(0.9)
        return log_probs, frames


def scripted(script: str) -> Transcriber:
    model = Scripted(script)
    return Transcriber(model, TOKENIZER, "scripted", device="cpu", engine=model, segmentation=ALL)


class Tones(AcousticModel):
    """Emit a letter for each tone; a symbol is that of its own frame of 30 ms, without context."""

    name = "tones"
    hertz = (500.0, 1000.0, 2000.0, 3000.0)  # of A, B, C and the space

    def __init__(self) -> None:
        super().__init__(len(TOKENIZER), FeatureOptions(bins=4), AcousticOptions(units=2, layers=1, channels=1))
        self.calls: list[tuple[int, int]] = []  # (batch, samples) of each

    def forward(self, waveforms: Tensor, lengths: Tensor, blocks: Blocks | None = None) -> tuple[Tensor, Tensor]:
        self.calls.append((waveforms.shape[0], waveforms.shape[1]))
        frames = self.frames(lengths)
        step = 480
        padded = torch.nn.functional.pad(waveforms, (0, step * int(frames.max()) - waveforms.shape[1]))
        power = torch.fft.rfft(padded.view(len(waveforms), -1, step)).abs()  # bins of 33.3 Hz
        peaks = power.argmax(2).float() * (RATE / step)
        symbols = (peaks[..., None] - torch.tensor(self.hertz)).abs().argmin(2) + 1
        order = [TOKENIZER.symbols.index(letter) for letter in "ABC "]
        symbols = torch.where(power.amax(2) > 5.0, torch.tensor([0, *order])[symbols], 0)
        shape = [*symbols.shape, len(TOKENIZER)]
        log_probs = torch.full(shape, math.log(0.001 / 4))
        return log_probs.scatter_(2, symbols[..., None], math.log(0.999)), frames


def played(text: str) -> np.ndarray:
    """Return (samples,) from which `Tones` emits `text`: each letter 90 ms, and 60 ms of silence after it."""
    time = np.arange(round(0.09 * RATE)) / RATE
    tones = dict(zip("ABC ", Tones.hertz, strict=True))
    letters = [np.sin(2 * np.pi * tones[letter] * time) * 0.5 for letter in text]
    return np.concatenate([part for item in letters for part in (item, np.zeros(round(0.06 * RATE)))]).astype(
        np.float32
    )


def spoken(words: int, seed: int) -> str:
    """Return random words of one to seven letters."""
    random = np.random.default_rng(seed)
    return " ".join("".join(random.choice(list("ABC"), random.integers(1, 8))) for _ in range(words))


def pause(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def speller(segmentation: SegmentationOptions = LOUD, threads: int | None = None) -> Transcriber:
    model = Tones()
    return Transcriber(
        model, TOKENIZER, "tones", device="cpu", engine=model, segmentation=segmentation, threads=threads
    )
