"""Real recordings, live, through the model of English: packets do not matter, and the gate loses no speech."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from speechrnn.audio import load_audio
from speechrnn.transcription.events import Event
from speechrnn.transcription.speech_gate import SpeechGateOptions
from speechrnn.transcription.streamer import Streamer, StreamingRecognizer

pytestmark = pytest.mark.integration
SEED = 5


@pytest.fixture(scope="module")
def recordings(shared: Path) -> list[np.ndarray]:
    """Two recordings of the English dev part, and three of AN4's training part, with pauses between these."""
    rows = [json.loads(line) for line in (shared / "english" / "dev.jsonl").read_text().splitlines()]
    rows = sorted(rows, key=lambda row: float(row["duration"]))[40:42]
    found = [load_audio(shared / "english" / row["audio_filepath"], 16000)[0] for row in rows]
    words = [load_audio(path, 16000)[0] for path in sorted((shared / "an4/wav/an4_clstk").glob("*/*.opus"))[:3]]
    assert len(words) == 3
    pause = np.zeros(16000, np.float32)
    return [*found, np.concatenate([part for wave in words for part in (wave, pause)])]


def finals(streamer: Streamer, sound: np.ndarray, sizes: list[int]) -> list[Event]:
    events, place = [], 0
    for size in sizes:
        events += streamer.accept(sound[place : place + size])
        place += size
    return [event for event in events + streamer.finish() if event.kind == "final"]


def random_sizes(generator: np.random.Generator, samples: int) -> list[int]:
    """Packets of 1 ms to 10 s."""
    sizes: list[int] = []
    while sum(sizes) < samples:
        sizes.append(round(16 * 10 ** generator.uniform(0, 4)))
    return sizes


def test_packets_of_any_size_give_the_same_words(recordings: list[np.ndarray]) -> None:
    pytest.importorskip("silero_vad")
    recognizer = StreamingRecognizer.load("english")
    generator = np.random.default_rng(SEED)
    for sound in recordings:
        expected = finals(recognizer.stream(), sound, [1600] * (len(sound) // 1600 + 1))
        assert expected and finals(recognizer.stream(), sound, random_sizes(generator, len(sound))) == expected


def test_the_gate_loses_no_speech(recordings: list[np.ndarray]) -> None:
    pytest.importorskip("silero_vad")
    texts = []
    for detector in ("silero", "none"):
        gate = SpeechGateOptions(detector=detector)
        recognizer = StreamingRecognizer.load("english", decoding="greedy", gate=gate)
        found = [finals(recognizer.stream(), sound, [1600] * (len(sound) // 1600 + 1)) for sound in recordings]
        texts.append([" ".join(event.text for event in events).split() for events in found])
    assert sum(map(len, texts[0])) >= 0.95 * sum(map(len, texts[1]))
