"""`speechrnn listen` as a process: on a terminal, in pipes, interrupted and killed."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.acoustic_models import RATE, streaming_model
from helpers.terminal import Screen

from speechrnn.audio import save_audio
from speechrnn.nn.acoustic import save_acoustic

SCRIPT = Path(__file__).parents[2] / "recipes" / "listen.py"
QUICK = ["endpoint.silence=0.3", "endpoint.longest=2.0", "gate.detector=none", "hold=0"]


def sound(seconds: float) -> np.ndarray:
    """Bursts of noise with pauses between them."""
    count = round(seconds * RATE)
    samples = np.random.default_rng(0).standard_normal(count) * 0.2
    samples[(np.arange(count) // RATE) % 3 == 2] *= 0.001
    return samples.clip(-1, 1).astype(np.float32)


def pcm(seconds: float) -> bytes:
    return (sound(seconds) * 32767).astype("<i2").tobytes()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("live") / "acoustic"
    save_acoustic(folder, *streaming_model(), {})
    return str(folder)


def start(model: str, *keys: str, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), f"model={model}", *QUICK, *keys],
        **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


def test_on_a_terminal_partials_are_rewritten_and_finals_stay(model: str, tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    save_audio(path, sound(8.0), RATE)
    text = start(model, f"input={path}", "pace=0", "show=text")
    out, _ = text.communicate(timeout=300)
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 300, 0, 0))
    process = start(model, f"input={path}", "pace=0", stdout=slave)
    os.close(slave)
    written = b""
    with contextlib.suppress(OSError):  # Linux ends a terminal without writers so
        while data := os.read(master, 4096):
            written += data
    os.close(master)
    assert process.wait(300) == 0
    screen = Screen(300)
    screen.write(written.decode().replace("\r\n", "\n"))
    assert screen.lines == [*out.decode().splitlines(), ""]
    assert written.count(b"\r\x1b[K") > len(screen.lines)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_with_the_final(model: str, number: signal.Signals, tmp_path: Path) -> None:
    process = start(model, "input=-", f"output={tmp_path / 'talk.txt'}", "endpoint.silence=60", "endpoint.longest=60")
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    process.stdin.write(pcm(2.0))
    process.stdin.flush()
    first = json.loads(process.stdout.readline())
    assert first["kind"] == "partial"
    process.send_signal(number)
    lines = [json.loads(line) for line in process.stdout.read().splitlines()]
    assert process.wait(60) == 0
    assert [line["kind"] for line in [first, *lines]][-1] == "final" and lines[-1]["text"]
    assert (tmp_path / "talk.txt").read_text() == lines[-1]["text"] + "\n"
    assert process.stderr.read() == b""


def test_a_reader_that_leaves_ends_it_quietly(model: str, tmp_path: Path) -> None:
    process = start(model, "input=-")
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None

    def feed(pipe: Any) -> None:
        with contextlib.suppress(BrokenPipeError):
            for _ in range(100):
                pipe.write(pcm(3.0))

    threading.Thread(target=feed, args=[process.stdin], daemon=True).start()
    assert json.loads(process.stdout.readline())["kind"] == "partial"
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr.read() == b""


def test_files_are_whole_at_any_moment_also_when_it_is_killed(model: str, tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    save_audio(path, sound(120.0), RATE)
    files = [tmp_path / f"talk.{suffix}" for suffix in ("json", "srt", "vtt", "txt")]
    process = start(
        model, f"input={path}", "pace=0", f"output=[{','.join(map(str, files))}]", stdout=subprocess.DEVNULL
    )
    seen: set[int] = set()
    while process.poll() is None:
        if files[0].exists():
            seen.add(len(json.loads(files[0].read_text())["segments"]))
            if len(seen) > 4:
                process.kill()
                break
        time.sleep(0.001)
    process.wait(60)
    transcript = json.loads(files[0].read_text())
    texts = [segment["text"] for segment in transcript["segments"]]
    assert len(texts) >= max(seen) and transcript["text"] == " ".join(texts)
    # The files are written one after the other: when it is killed, the later ones may lack the last final.
    plain = files[3].read_text().splitlines()
    assert texts[: len(plain)] == plain and len(texts) - len(plain) <= 1
    captions = files[1].read_text().strip().split("\n\n")
    assert all(" --> " in caption.splitlines()[1] for caption in captions)
    assert files[2].read_text().startswith("WEBVTT\n")


def test_a_wav_on_standard_input_says_itself_what_it_is(model: str, tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    save_audio(path, sound(3.0), 8000)
    process = start(model, "input=-", "show=text")
    out, err = process.communicate(path.read_bytes(), timeout=300)
    assert process.returncode == 0 and out.strip()
    assert b"rate=8000" in err


@pytest.mark.parametrize(
    ("data", "parts"),
    [(b"fLaC" + bytes(100), [b"FLAC", b"ffmpeg"]), (b"RIFF" + bytes(4) + b"WAVE", [b"without samples"])],
)
def test_what_is_no_raw_pcm_is_one_sentence(model: str, data: bytes, parts: list[bytes]) -> None:
    process = start(model, "input=-")
    _, err = process.communicate(data, timeout=300)
    assert process.returncode == 2 and err.count(b"\n") == 1
    assert all(part in err for part in parts)
