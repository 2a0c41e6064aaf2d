"""Tests of the formats that FFmpeg reads, whole and truncated."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from helpers.recordings import encode, shift, speech

from speechrnn.audio import audio_blocks, audio_info, load_audio
from speechrnn.audio.ffmpeg_reader import _Clock
from speechrnn.audio.io import AudioError

FFMPEG = [
    ("a.m4a", "aac", 16000, 0),
    ("a.mp4", "aac", 44100, 0),
    ("a.webm", "libopus", 48000, 0),
    ("a.mka", "flac", 16000, 0),
    ("a.aac", "aac", 22050, 1024),  # a bare stream does not say how long its encoder took to start
]


@pytest.mark.parametrize(("name", "codec", "rate", "late"), FFMPEG)
def test_formats_of_ffmpeg(tmp_path: Path, name: str, codec: str, rate: int, late: int) -> None:
    said = speech(2 * rate + 7, rate)
    path = encode(tmp_path / name, codec, np.stack([said, said / 2], 1), rate=rate)
    left, heard_rate = load_audio(path, channel=0)
    known = audio_info(path)
    assert known.sampling_rate == heard_rate == rate and known.channels == 2
    tolerance = 0.02 if name in ("a.webm", "a.mka") else 0
    assert abs(known.duration - len(left) / rate) <= tolerance
    assert abs(len(left) - len(said)) <= 2048
    assert shift(left, said) == late and np.corrcoef(left[late:][: len(said)], said[: len(left) - late])[0, 1] > 0.98
    np.testing.assert_allclose(np.concatenate(list(audio_blocks(path, 0.3, channel=0))), left, atol=1e-6)
    np.testing.assert_allclose(load_audio(path, start=1.1, channel=0)[0], left[round(1.1 * rate) :], atol=1e-6)
    mixed, _ = load_audio(path)
    assert np.dot(mixed, left) / np.dot(left, left) == pytest.approx(0.75, abs=0.03)


def test_an_mp4_named_wav_is_read(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.m4a", "aac", speech(16000, 16000)[:, None], rate=16000).rename(tmp_path / "a.wav")
    assert len(load_audio(path)[0]) == audio_info(path).samples


@pytest.mark.parametrize(
    ("name", "codec", "options"), [("a.mp4", "aac", {"movflags": "faststart"}), ("a.webm", "libopus", {})]
)
def test_a_truncated_container_says_where_it_breaks_off(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    path = encode(tmp_path / name, codec, speech(480000, 48000)[:, None], rate=48000, **options)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(AudioError, match=r"breaks off at [56]\.\d\d s of 10\.0\d s:"):
        load_audio(path)
    assert len(load_audio(path, duration=3)[0]) == 3 * 48000  # what is there can still be asked for


def test_an_mp4_without_its_index(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.m4a", "aac", speech(48000, 16000)[:, None], rate=16000)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(AudioError, match="is truncated: the index of the recording is missing"):
        load_audio(path)


def test_a_start_beyond_a_recording_that_states_no_length(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.aac", "aac", speech(16000, 16000)[:, None], rate=16000)
    with pytest.raises(AudioError, match=r"before the clip that starts at 5\.00 s"):
        load_audio(path, start=5)


@pytest.mark.parametrize("stated", [None, 10**18])  # microseconds; the length may be damaged as the time stamps are
def test_damaged_time_stamps_add_a_bounded_silence(stated: int | None) -> None:
    container = SimpleNamespace(format=SimpleNamespace(name="avi"), duration=stated, start_time=0)
    clock = _Clock(cast(Any, container), rate=100)
    position = 0
    for number in range(50):
        hours = SimpleNamespace(pts=number, time_base=Fraction(3600))
        position += clock.missing(cast(Any, hours), position) + 10
    assert position <= 6 * 3600 * 100 + 50 * 10
    assert position > 5 * 3600 * 100  # a gap of an hour is none that is damaged
