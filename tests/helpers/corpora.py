"""Tiny corpora that tests write for themselves: tones for letters, so that a small model learns them in seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

RATE = 8000

# The types of the corpus tests' fixtures.
Speak = Callable[..., Path]
Write = Callable[[Path, str], Path]
ReadCuts = Callable[[Path | None], list[dict[str, Any]]]

# Overrides that make a recipe train in a second on such a corpus.
SMALL = [
    f"features.sampling_rate={RATE}",
    "features.bins=16",
    "acoustic.layers=1",
    "acoustic.units=16",
    "acoustic.channels=4",
    "trainer.epochs=2",
    "trainer.min_steps=0",
    "trainer.batch_seconds=6",
    "trainer.accelerator=cpu",
]
TONES = {"A": 400, "B": 900, "C": 1600, "D": 2600}  # Hz


def say(text: str, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """(samples,) float32: 80 ms of a letter's tone, 40 ms of silence after it, a little noise throughout."""
    generator = np.random.default_rng(seed)
    time = np.arange(round(0.08 * rate)) / rate
    pieces = [np.zeros(round(0.1 * rate))]
    for letter in text:
        tone = 0.3 * np.sin(2 * np.pi * TONES[letter] * time) if letter in TONES else 0 * time
        pieces += [tone * np.hanning(len(time)) ** 0.2, np.zeros(round(0.04 * rate))]
    wave = np.concatenate([*pieces, np.zeros(round(0.1 * rate))])
    return (wave + 0.003 * generator.standard_normal(len(wave))).astype(np.float32)


def write_corpus(folder: Path, utterances: int, seed: int = 0, longest: int = 5) -> Path:
    """A folder corpus: train/ and test/, NAME.wav beside NAME.txt."""
    generator = np.random.default_rng(seed)
    for part, count in (("train", utterances), ("test", max(2, utterances // 4))):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            text = "".join(generator.choice(list(TONES), generator.integers(1, longest + 1)))
            soundfile.write(folder / part / f"{number:03}.wav", say(text, seed=number), RATE)
            (folder / part / f"{number:03}.txt").write_text(text + "\n")
    return folder
