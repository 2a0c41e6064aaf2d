"""Frames far from speech have no words, whatever the network finds in them."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.audio.vad import CHUNK
from speechrnn.nn.ctc import BLANK
from speechrnn.transcription.speech_gate import SpeechGate, SpeechGateOptions

RATE = 16000
SECONDS = 0.03  # of a frame
OPTIONS = SpeechGateOptions(threshold=0.5, shortest=0.1, before=0.15, after=0.6)


class Loudness:
    """A detector for which loud sound is speech, in chunks of 32 ms, four at a time."""

    def __init__(self) -> None:
        self.samples = np.zeros(0, np.float32)

    def accept(self, samples: np.ndarray) -> np.ndarray:
        self.samples = np.concatenate([self.samples, samples])
        chunks = len(self.samples) // 2048 * 4
        ready, self.samples = self.samples[: chunks * 512], self.samples[chunks * 512 :]
        return np.abs(ready.reshape(chunks, 512)).max(1) if chunks else np.zeros(0, np.float32)

    def finish(self) -> np.ndarray:
        return self.accept(np.zeros(-len(self.samples) % 2048, np.float32))


def make_gate() -> SpeechGate:
    return SpeechGate(OPTIONS, Loudness(), SECONDS)  # type: ignore[arg-type]


def sound(*parts: tuple[float, float]) -> np.ndarray:
    return np.concatenate([np.full(round(seconds * RATE), level, np.float32) for seconds, level in parts])


def run(samples: np.ndarray, packets: list[int]) -> torch.Tensor:
    """Pass frames that all say symbol 1, each as soon as its sound and 0.24 s of look-ahead are there."""
    gate, place, turn, frames, found = make_gate(), 0, 0, 0, []
    while place < len(samples):
        size = packets[turn % len(packets)]
        packet = samples[place : place + size]
        place, turn = place + len(packet), turn + 1
        last = place >= len(samples)
        gate.accept(packet, last)
        ready = int(place / RATE / SECONDS) if last else max(0, int((place / RATE - 0.24) / SECONDS))
        found.append(gate.apply(torch.tensor([[-9.0, -0.1]]).repeat(ready - frames, 1), last))
        frames = ready
    return torch.cat(found)


def open_frames(rows: torch.Tensor) -> list[bool]:
    assert bool(((rows[:, BLANK] == 0) | (rows[:, 1] == rows.new_tensor(-0.1))).all())
    return (rows[:, 1] > -1).tolist()


def test_frames_around_speech_are_open_and_others_are_sure_blanks() -> None:
    frames = open_frames(run(sound((2.0, 0.0), (1.0, 1.0), (3.0, 0.0)), [1600]))
    assert len(frames) == 200
    begin, end = frames.index(True) * SECONDS, (len(frames) - frames[::-1].index(True)) * SECONDS
    assert 2.0 + 3 * CHUNK - 0.15 - 2 * SECONDS <= begin <= 2.0  # nothing of the speech is lost
    assert 3.6 - CHUNK <= end <= 3.6 + CHUNK + 2 * SECONDS
    assert all(frames[round(begin / SECONDS) : round(end / SECONDS)])


def test_a_click_is_no_speech() -> None:
    assert not any(open_frames(run(sound((1.0, 0.0), (0.05, 1.0), (1.0, 0.0)), [1600])))


@given(
    parts=st.lists(st.tuples(st.floats(0.02, 1.5), st.sampled_from([0.0, 1.0])), min_size=1, max_size=6),
    packets=st.lists(st.integers(16, 160000), min_size=1, max_size=3),
)
def test_packets_do_not_matter(parts: list[tuple[float, float]], packets: list[int]) -> None:
    samples = sound(*parts)
    whole, found = run(samples, [len(samples)]), run(samples, packets)
    assert len(whole) == int(len(samples) / RATE / SECONDS)
    torch.testing.assert_close(found, whole, rtol=0, atol=0)


def test_frames_wait_until_it_is_known_whether_somebody_speaks() -> None:
    gate = make_gate()
    gate.accept(np.zeros(2048, np.float32))
    frames = torch.full((4, 2), -0.5)
    assert len(gate.apply(frames)) == 0
    preview = gate.preview(frames)
    assert len(preview) == 8
    assert bool((preview == -0.5).all())  # somebody may have begun to speak
    gate.accept(np.zeros(2 * 2048, np.float32))
    assert len(gate.apply(frames[:0])) == 4


def test_memory_does_not_grow() -> None:
    gate = make_gate()
    for _ in range(400):
        gate.accept(np.ones(4800, np.float32))
        gate.apply(torch.full((10, 2), -0.5))
    assert len(gate._speech) < 100
    assert sum(map(len, gate._waiting)) < 30
