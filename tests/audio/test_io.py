"""Recordings are written here sample by sample, so that every test knows what it must read."""

from __future__ import annotations

import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from speechrnn.audio import audio_blocks, audio_info, find_audio, is_silent, load_audio, save_audio
from speechrnn.audio.io import AudioError, TruncatedAudioError
from speechrnn.core.errors import UserError

# Largest error of one sample, as a part of full scale: a step of each format.
PRECISION = {"PCM_U8": 2**-7, "PCM_16": 2**-15, "PCM_24": 2**-23, "PCM_32": 1e-7, "FLOAT": 1e-7, "DOUBLE": 1e-7}
RATES = [8000, 11025, 16000, 22050, 44100, 48000]  # Hz


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audio")


def noise(samples: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    """(samples, channels) within +-0.9"""
    return np.random.default_rng(seed).uniform(-0.9, 0.9, (samples, channels)).astype(np.float32)


@settings(max_examples=60)
@given(
    subtype=st.sampled_from(sorted(PRECISION)),
    rate=st.sampled_from(RATES),
    channels=st.integers(1, 4),
    samples=st.integers(500, 3000),
    seed=st.integers(0, 9),
)
def test_round_trip_at_any_depth_rate_and_channels(
    folder: Path, subtype: str, rate: int, channels: int, samples: int, seed: int
) -> None:
    path, written = folder / "round.wav", noise(samples, channels, seed)
    soundfile.write(path, written, rate, subtype=subtype)
    known = audio_info(path)
    assert (known.sampling_rate, known.channels, known.samples) == (rate, channels, samples)
    mixed, read_rate = load_audio(path)
    assert read_rate == rate and mixed.dtype == np.float32 and mixed.shape == (samples,)
    np.testing.assert_allclose(mixed, written.mean(axis=1), atol=PRECISION[subtype])
    for index in range(channels):
        np.testing.assert_allclose(load_audio(path, channel=index)[0], written[:, index], atol=PRECISION[subtype])


@settings(max_examples=40)
@given(
    rate=st.sampled_from(RATES),
    wanted=st.sampled_from([None, 8000, 16000, 44100, 12345]),
    seconds=st.floats(0.003, 3),
    channel=st.sampled_from(["mix", 0, 1]),
)
def test_blocks_joined_equal_load(
    folder: Path, rate: int, wanted: int | None, seconds: float, channel: int | str
) -> None:
    path = folder / f"blocks{rate}.wav"
    if not path.exists():
        soundfile.write(path, noise(rate * 2 + 17, 2), rate)
    whole, out_rate = load_audio(path, wanted, channel)
    blocks = list(audio_blocks(path, seconds, wanted, channel=channel))
    size = int(np.floor(seconds * out_rate + 0.5))
    assert all(len(block) == size for block in blocks[:-1]) and 0 < len(blocks[-1]) <= size
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-6)


@settings(max_examples=60)
@given(
    rate=st.sampled_from(RATES),
    wanted=st.sampled_from([None, 8000, 16000, 44100, 12345]),
    start=st.floats(0, 2.9),
    duration=st.floats(0.001, 4),
)
def test_a_clip_equals_the_same_samples_of_the_whole(
    folder: Path, rate: int, wanted: int | None, start: float, duration: float
) -> None:
    path = folder / f"clip{rate}.wav"
    if not path.exists():
        soundfile.write(path, noise(rate * 3), rate)
    whole, out_rate = load_audio(path, wanted)
    first, count = int(np.floor(start * out_rate + 0.5)), int(np.floor(duration * out_rate + 0.5))
    assume(count > 0)
    clip, _ = load_audio(path, wanted, start=start, duration=duration)
    assert len(clip) == min(count, len(whole) - first)
    np.testing.assert_allclose(clip, whole[first : first + count], atol=1e-5)


def test_resampling_keeps_a_tone(tmp_path: Path) -> None:
    soundfile.write(
        tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 1000 * np.arange(44100) / 44100), 44100, subtype="FLOAT"
    )
    heard, rate = load_audio(tmp_path / "a.wav", 16000)
    assert rate == 16000 and len(heard) == 16000
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    np.testing.assert_allclose(heard[500:-500], tone[500:-500], atol=1e-4)


def test_length_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 8000, 1) as file:
        for _ in range(20):
            file.write(np.zeros(30 * 8000, np.int16))
    tracemalloc.start()
    samples = sum(len(block) for block in audio_blocks(path, 5, 16000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert samples == 600 * 16000  # 38 MB
    assert peak < 6e6


def test_an4_is_read_at_its_own_rate(shared: Path) -> None:
    files: list[str | Path] = [f"{shared}/an4/wav/an4_clstk/fash/*.opus", shared / "an4/wav/an4test_clstk"]
    for path in find_audio(files)[:40]:
        known = audio_info(path)
        samples, rate = load_audio(path)
        assert (
            (known.sampling_rate, known.samples, known.channels) == (rate, len(samples), 1) == (16000, len(samples), 1)
        )
        assert not is_silent(samples)


def test_a_truncated_file_is_told_between_processes_too(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(32000), 16000, subtype="PCM_16")
    path.write_bytes(path.read_bytes()[: 44 + 32000])
    for ask in (lambda: audio_info(path), lambda: list(audio_blocks(path, 1))):
        with pytest.raises(TruncatedAudioError, match=r"breaks off at 1\.00 s of 2\.00 s") as caught:
            ask()
        again = pickle.loads(pickle.dumps(caught.value))
        assert str(again) == str(caught.value) and again.seconds == caught.value.seconds == 1.0
    assert audio_info(path, strict=False).duration == 2.0
    with pytest.raises(AudioError, match="hold no sample at 16000 Hz"):
        list(audio_blocks(path, 0.0, strict=False))


def test_channels_and_clips_that_are_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(16000, 2), 16000)
    for channel in (2, -1, "left"):
        with pytest.raises(AudioError, match=f"no channel {channel}; choose channel=mix or a number from 0 to 1"):
            load_audio(path, channel=channel)
    for start in (1.0, 7.5):
        with pytest.raises(AudioError, match=f"ends at 1.00 s, before the clip that starts at {start:.2f} s"):
            load_audio(path, start=start)
    clips: list[dict[str, Any]] = [
        {"start": -0.1},
        {"start": float("nan")},
        {"duration": 0.0},
        {"duration": float("inf")},
    ]
    for clip in clips:
        with pytest.raises(AudioError, match="give a start >= 0 and a duration > 0"):
            load_audio(path, **clip)
    with pytest.raises(AudioError, match=r"sampling rate must be a whole number .* not 0"):
        load_audio(path, 0)
    with pytest.raises(AudioError, match=r"Blocks of 0\.0 s hold no sample"):
        list(audio_blocks(path, 0.0))


def test_silence_is_audio(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(16000), 16000)
    silence, _ = load_audio(tmp_path / "a.wav", 8000)
    assert not silence.any() and len(silence) == 8000


@pytest.mark.parametrize("name", ["a.wav", "b.FLAC"])
def test_save_clips_and_rounds_to_16_bits(tmp_path: Path, name: str) -> None:
    made = np.concatenate([noise(2000)[:, 0], np.array([2.0, -2.0], np.float32)])
    save_audio(tmp_path / "new" / name, made, 22050)
    read, rate = load_audio(tmp_path / "new" / name)
    assert rate == 22050 and soundfile.info(tmp_path / "new" / name).subtype == "PCM_16"
    np.testing.assert_allclose(read, made.clip(-1, 1), atol=2**-15)


def test_save_refuses_what_it_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"a\.mp3: only \.wav and \.flac"):
        save_audio(tmp_path / "a.mp3", noise(100)[:, 0], 16000)
    with pytest.raises(AudioError, match="NaN or infinite"):
        save_audio(tmp_path / "a.wav", np.array([0.0, np.nan]), 16000)
    with pytest.raises(ValueError, match="shape"):
        save_audio(tmp_path / "a.wav", noise(100, 2), 16000)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="Cannot write"):
        save_audio(tmp_path / "file" / "a.wav", noise(100)[:, 0], 16000)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
