"""Tests of detectors on recordings whose speech is known, and of Silero's network against its own package."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.audio import load_audio, vad
from speechrnn.audio.vad import (
    CHUNK,
    WARM_UP,
    EnergyDetector,
    SileroDetector,
    SpeechDetector,
    build_detector,
    count_chunks,
)
from speechrnn.core.errors import UserError

RATE = 16000


@pytest.fixture(scope="module")
def silero() -> SileroDetector:
    pytest.importorskip("silero_vad", reason="the extra [vad] is not installed")
    return SileroDetector()


def noise(seconds: float, level: float = 0.1, rate: int = RATE, seed: int = 0) -> np.ndarray:
    samples = np.random.default_rng(seed).standard_normal(round(seconds * rate))
    return (level * samples).astype(np.float32)


def music(seconds: float) -> np.ndarray:
    """Four chords of decaying strings, over and over."""
    time = np.arange(2 * RATE) / RATE
    chords = []
    for notes in [(220, 277, 330), (196, 247, 294), (175, 220, 262), (165, 208, 247)]:
        tones = sum(0.1 / k * np.sin(2 * np.pi * k * note * time) for note in notes for k in (1, 2, 3))
        chords.append(tones * np.exp(-1.2 * time))
    return np.resize(np.concatenate(chords), round(seconds * RATE)).astype(np.float32)


def sequential(samples: np.ndarray) -> np.ndarray:
    """Chunk by chunk, as the package itself does it."""
    from silero_vad import load_silero_vad

    model = load_silero_vad()
    padded = np.append(samples, np.zeros(-len(samples) % 512, np.float32))
    with torch.inference_mode():
        return np.array([model(torch.from_numpy(chunk), RATE).item() for chunk in padded.reshape(-1, 512)])


def speakers(shared: Path, count: int) -> list[np.ndarray]:
    files = sorted((shared / "an4/wav/an4_clstk").glob("*/*.opus"))
    return [load_audio(path, RATE)[0] for path in files[:: len(files) // count][:count]]


@given(st.integers(0, 10**6), st.sampled_from([1000, 8000, 11025, 16000, 22050, 44100, 48000]))
def test_each_chunk_begun_counts(samples: int, rate: int) -> None:
    count = count_chunks(samples, rate)
    assert count * CHUNK * rate >= samples - 1e-6 and (count - 1) * CHUNK * rate < samples + 1e-6


def test_silero_in_a_batch_is_silero_chunk_by_chunk(silero: SileroDetector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vad, "_BATCH", 3)
    monkeypatch.setattr(vad, "_ENCODED", 50)
    monkeypatch.setattr(vad, "_STEPS", 20)
    waveforms = [noise(seconds, 0.2, seed=n) for n, seconds in enumerate((0.7, 2.5, 0.0, 0.01, 1.024))]
    waveforms[1] *= np.sin(np.arange(len(waveforms[1])) / 700).astype(np.float32)
    heard = silero(waveforms, RATE)
    assert [len(row) for row in heard] == [22, 79, 0, 1, 32]
    for samples, row in zip(waveforms, heard, strict=True):
        assert row.dtype == np.float32
        np.testing.assert_allclose(row, sequential(samples), atol=1e-5)


def test_silero_hears_speech_in_real_speech(silero: SileroDetector, shared: Path) -> None:
    clips = speakers(shared, 20)
    heard = silero(clips, RATE)
    np.testing.assert_allclose(heard[7], sequential(clips[7]), atol=1e-4)
    for row in heard:
        assert row.max() > 0.9 and (row > 0.5).sum() >= 8


def test_silero_hears_none_in_silence_noise_and_music(silero: SileroDetector, shared: Path) -> None:
    recordings = [np.zeros(10 * RATE, np.float32), noise(10, 0.1), noise(10, 0.003), music(20)]
    recordings += [load_audio(path, RATE)[0] for path in sorted((shared / "noise").glob("*.flac"))]
    for row in silero(recordings, RATE):
        assert row.max() < 0.7 and (row > 0.5).sum() < 6  # by chance in a chunk, never for as long as a word takes


def test_silero_hears_the_same_at_another_rate(silero: SileroDetector, shared: Path) -> None:
    import soxr

    (samples,) = speakers(shared, 1)
    (whole,) = silero([samples], RATE)
    (fine,) = silero([soxr.resample(samples, RATE, 44100)], 44100)
    assert len(fine) == len(whole) and np.abs(fine - whole).mean() < 0.02


def test_silero_has_forgotten_what_was_before_the_warm_up(silero: SileroDetector, shared: Path) -> None:
    samples = np.concatenate(speakers(shared, 30))
    before, cut = round(WARM_UP / CHUNK), 1100  # chunks
    (whole,) = silero([samples], RATE)
    (late,) = silero([samples[(cut - before) * 512 :]], RATE)
    (cold,) = silero([samples[cut * 512 :]], RATE)
    assert len(cold) > 600 and np.abs(cold - whole[cut:]).max() > 0.3
    np.testing.assert_allclose(late[before:], whole[cut:], atol=0.1)


def test_silero_leaves_the_threads_of_torch_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("silero_vad", reason="the extra [vad] is not installed")
    for name in [name for name in sys.modules if name.split(".")[0] == "silero_vad"]:
        monkeypatch.delitem(sys.modules, name)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        SileroDetector()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_a_silero_with_another_network_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module = pytest.importorskip("silero_vad", reason="the extra [vad] is not installed")
    monkeypatch.setattr(module, "load_silero_vad", lambda: torch.nn.Linear(2, 2))
    with pytest.raises(UserError, match="silero-vad is unknown here: pip install"):
        SileroDetector()


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100])
@pytest.mark.parametrize("level", [0.0003, 0.003, 0.03])
def test_energy_hears_what_is_louder_than_its_background(rate: int, level: float) -> None:
    samples = noise(20, level, rate)
    loud = slice(7 * rate, 8 * rate)
    samples[loud] *= 10
    (heard,) = EnergyDetector()([samples], rate)
    assert len(heard) == count_chunks(len(samples), rate)
    seconds = (np.arange(len(heard)) + 0.5) * CHUNK
    inside = (seconds > 7.05) & (seconds < 7.95)
    outside = (seconds < 6.95) | (seconds > 8.05)
    assert heard[inside].min() > 0.9 and heard[outside].max() < 0.2


def test_energy_gets_used_to_a_fan() -> None:
    samples = np.concatenate([noise(40, 0.002), noise(40, 0.05, seed=1)])
    (heard,) = EnergyDetector()([samples], RATE)
    assert heard[: round(39 / CHUNK)].max() < 0.2 and heard[round(55 / CHUNK) :].max() < 0.2
    assert heard[round(40.1 / CHUNK) : round(45 / CHUNK)].min() > 0.9  # which is what it cannot know better


def test_energy_hears_nothing_in_silence() -> None:
    dither = np.random.default_rng(0).choice([-1, 0, 1], RATE).astype(np.float32) / 32768
    dither[RATE // 2 :] = 0
    silence, offset, dithered, empty, short = EnergyDetector()(
        [np.zeros(RATE, np.float32), np.full(RATE, 0.3, np.float32), dither, dither[:0], dither[:1]], RATE
    )
    assert max(silence.max(), offset.max(), dithered.max(), short.max()) < 0.2
    assert len(empty) == 0 and len(short) == 1


def test_energy_hears_real_speech(shared: Path) -> None:
    for row in EnergyDetector()(speakers(shared, 20), RATE):
        assert (row > 0.5).sum() >= 8


def test_detectors_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def name(detector: SpeechDetector | None) -> str:
        return "none" if detector is None else detector.name

    assert name(build_detector("energy")) == "energy" and build_detector("none") is None
    with pytest.raises(UserError, match="vad=loud is unknown; choose auto, silero, energy or none"):
        build_detector("loud")
    monkeypatch.setitem(sys.modules, "silero_vad", None)  # as if it were not installed
    assert name(build_detector("auto")) == "energy"
    with pytest.raises(UserError, match=r"pip install 'speechrnn\[vad\]'"):
        build_detector("silero")


def test_auto_is_silero_where_it_is_installed(silero: SileroDetector) -> None:
    found = build_detector("auto")
    assert found is not None and found.name == silero.name
