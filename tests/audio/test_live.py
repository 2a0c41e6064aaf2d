"""Sound from pipes (raw PCM, WAV with its header, and what is neither) and from files at their own pace."""

from __future__ import annotations

import io
import os
import struct
import threading
from pathlib import Path

import numpy as np
import pytest

from speechrnn.audio.live import PacedFile, RawPipe, open_live
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


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_pipe_may_give_any_number_of_bytes(count: int) -> None:
    stream = io.BytesIO(pcm(0.01))
    samples = np.concatenate(list(RawPipe(lambda most: stream.read(min(most, count))).packets()))
    assert samples[:, 0].tobytes() == pcm(0.01)


def test_an_empty_pipe_has_no_packets() -> None:
    assert list(RawPipe(io.BytesIO(b"").read).packets()) == []


class Event:
    """An event whose waiting takes no time but moves a clock."""

    def __init__(self) -> None:
        self.now, self.closed_at = 50.0, float("inf")

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def is_set(self) -> bool:
        return self.now >= self.closed_at

    def set(self) -> None:
        self.closed_at = self.now


@pytest.mark.parametrize("pace", [1.0, 2.0])
def test_a_file_comes_at_its_own_pace(pace: float, tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    path.write_bytes(wav(pcm(1.0)))
    clock = Event()
    source = PacedFile(path, RATE, 0.1, pace=pace, clock=lambda: clock.now, _closed=clock)  # type: ignore[arg-type]
    arrived, samples = [], 0
    for packet in source.packets():
        samples += len(packet)
        arrived.append((clock.now - 50.0, samples / RATE / pace))
        clock.now += 0.01  # recognition takes time, too
    assert samples == RATE
    assert all(now == pytest.approx(due, abs=1e-6) for now, due in arrived)


def test_a_file_that_was_late_catches_up(tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    path.write_bytes(wav(pcm(1.0)))
    clock = Event()
    source = PacedFile(path, RATE, 0.1, clock=lambda: clock.now, _closed=clock)  # type: ignore[arg-type]
    packets = source.packets()
    next(packets)
    clock.now += 0.5
    for _ in range(5):
        next(packets)
    assert clock.now == pytest.approx(50.6)


def test_a_file_at_pace_0_does_not_wait(tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    path.write_bytes(wav(pcm(1.0)))
    clock = Event()
    source = PacedFile(path, RATE, 0.1, pace=0.0, clock=lambda: clock.now, _closed=clock)  # type: ignore[arg-type]
    assert sum(map(len, source.packets())) == RATE
    assert clock.now == 50.0


def test_a_file_that_is_closed_ends(tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    path.write_bytes(wav(pcm(1.0)))
    clock = Event()
    source = PacedFile(path, RATE, 0.1, clock=lambda: clock.now, _closed=clock)  # type: ignore[arg-type]
    packets = source.packets()
    next(packets)
    source.close()
    assert list(packets) == []


def test_an_input_that_is_not_there_names_the_choices() -> None:
    with pytest.raises(UserError, match=r"input=nothing\.wav.*microphone"):
        open_live("nothing.wav", RATE)


def test_a_named_pipe_is_raw_pcm(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=[pcm(0.5)])
    writer.start()
    samples = np.concatenate(list(open_live(str(path), RATE).packets()))
    writer.join()
    assert samples[:, 0].tobytes() == pcm(0.5)


def test_what_is_no_recording_is_named(tmp_path: Path) -> None:
    (tmp_path / "talk.wav").write_bytes(wav(pcm(0.1)))
    (tmp_path / "calls").mkdir()
    with pytest.raises(UserError, match=r"tolk\.wav does not exist; did you mean .*talk\.wav\?"):
        open_live(str(tmp_path / "tolk.wav"), RATE)
    with pytest.raises(UserError, match="does not exist; check the path or give a file, - for a pipe, or null"):
        open_live(str(tmp_path / "nothing-like-it"), RATE)
    with pytest.raises(UserError, match="is a folder; give one of its files, or the folder to `speechrnn transcribe`"):
        open_live(str(tmp_path / "calls"), RATE)
