"""Sound from pipes: raw PCM, WAV with its header, and what is neither."""

from __future__ import annotations

import io
import struct
import sys

import numpy as np
import pytest

from speechrnn.audio.live import RawPipe, import_sounddevice
from speechrnn.core.errors import UserError

RATE = 16000  # Hz


def pcm(seconds: float = 3.0) -> bytes:
    sound = np.random.default_rng(0).standard_normal(round(seconds * RATE)) * 0.1
    return (np.clip(sound, -1, 1) * 32000).astype("<i2").tobytes()


def wav(data: bytes, rate: int = RATE) -> bytes:
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 0, b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16, b"data", 0)
    return head + data


def test_a_wav_header_is_believed() -> None:
    source = RawPipe(io.BytesIO(wav(pcm(0.5), 8000)).read)
    samples = np.concatenate(list(source.packets()))
    assert source.sampling_rate == 8000
    assert samples[:, 0].tobytes() == pcm(0.5)


def test_a_stream_that_stops_amid_a_sample_says_so(caplog: pytest.LogCaptureFixture) -> None:
    samples = np.concatenate(list(RawPipe(io.BytesIO(pcm(0.5) + b"x").read).packets()))
    assert len(samples) == RATE // 2
    assert "middle of a sample" in caplog.text


def test_a_file_in_the_pipe_is_no_raw_pcm() -> None:
    with pytest.raises(UserError, match=r"FLAC.*ffmpeg"):
        list(RawPipe(io.BytesIO(b"fLaC" + bytes(100)).read).packets())


def test_without_sounddevice_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(UserError, match=r"speechrnn\[listen\]"):
        import_sounddevice()
