"""Live sources are recognised until they end."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from helpers.acoustic_models import RATE, streaming_model

from speechrnn.audio.errors import AudioError
from speechrnn.audio.live import RawPipe
from speechrnn.jobs import listening
from speechrnn.jobs.listening import Listening, make_display
from speechrnn.jobs.live_output import JsonLinesDisplay, LiveTranscript, TerminalDisplay, TextDisplay
from speechrnn.transcription.events import Event
from speechrnn.transcription.streamer import Streamer, StreamingRecognizer
from speechrnn.transcription.writers import SubtitleOptions


def pcm(seconds: float = 3.0) -> bytes:
    sound = np.random.default_rng(0).standard_normal(round(seconds * RATE)) * 0.1
    return (np.clip(sound, -1, 1) * 32000).astype("<i2").tobytes()


def test_a_pipe_is_recognised_and_files_are_whole(tmp_path: Path) -> None:
    model, tokenizer = streaming_model()
    recognizer = StreamingRecognizer(model, tokenizer, "tiny")
    shown = io.StringIO()
    paths = [tmp_path / f"talk.{suffix}" for suffix in ("srt", "vtt", "json", "txt")]
    outputs = [LiveTranscript(path, "-", "tiny", decoding="greedy", subtitles=SubtitleOptions()) for path in paths]
    Listening(RawPipe(io.BytesIO(pcm()).read), recognizer.stream, JsonLinesDisplay(shown), outputs=outputs).run()
    events = [json.loads(line) for line in shown.getvalue().splitlines()]
    text = " ".join(event["text"] for event in events if event["kind"] == "final")
    assert text and json.loads(paths[2].read_text())["text"] == text
    assert paths[3].read_text().split() == text.split()
    assert paths[0].read_text().startswith("1\n") and paths[1].read_text().startswith("WEBVTT\n")


class Clock:
    """A clock that moves when recognition takes time."""

    def __init__(self) -> None:
        self.now = 10.0

    def monotonic(self) -> float:
        return self.now


AHEAD = 10.0  # seconds of sound that have come in before the next is recognised, however busy the machine is


class FakeStreamer:
    """A recogniser that takes `cost` seconds for a second of sound, and only counts the samples."""

    def __init__(self, rate: int, cost: float, clock: Clock, source: FakeSource) -> None:
        self.rate, self.cost, self.clock, self.source = rate, cost, clock, source
        self.samples, self.most = 0, 0.0
        self.simplified: list[str] = []
        self.finished = False

    def accept(self, samples: np.ndarray) -> list[Event]:
        self.samples += len(samples)
        self.most = max(self.most, self.source.given / self.rate - self.samples / self.rate)
        self.clock.now += self.cost * len(samples) / self.rate
        self.source.wait_for(self.samples / self.rate + AHEAD)
        return []

    def simplify(self, way: str) -> None:
        self.simplified.append(way)

    def finish(self) -> list[Event]:
        self.finished = True
        return [Event("final", 0, "END", words=(), stable_words=0, time=self.samples / self.rate)]


class FakeSource:
    """Packets of a tenth of a second, which are there at once; then an error, or nothing more until it is closed."""

    name = "microphone"

    def __init__(
        self,
        seconds: float,
        pace: float = 1.0,
        live: bool = False,
        error: BaseException | None = None,
        hangs: bool = False,
    ) -> None:
        self.sampling_rate, self.pace, self.live = RATE, pace, live
        self.seconds, self.error, self.hangs = seconds, error, hangs
        self.given = 0
        self.closed = threading.Event()

    def wait_for(self, seconds: float) -> None:
        """Wait until the thread of the source has given so much sound, or all."""
        deadline = time.monotonic() + 60
        while self.given < min(seconds, self.seconds) * RATE - RATE / 10 and time.monotonic() < deadline:
            time.sleep(0.001)

    def packets(self) -> Iterator[np.ndarray]:
        for _ in range(round(self.seconds * 10)):
            self.given += RATE // 10
            yield np.zeros((RATE // 10, 1), np.float32)
        if self.error is not None:
            raise self.error
        if self.hangs:
            self.closed.wait(60)

    def close(self) -> None:
        self.closed.set()


def listen(source: FakeSource, streamer: FakeStreamer, shown: io.StringIO, **options: Any) -> Listening:
    start = cast("Callable[[int], Streamer]", lambda rate: streamer)
    return Listening(source, start, JsonLinesDisplay(shown), **options)


def run(
    source: FakeSource, cost: float, monkeypatch: pytest.MonkeyPatch, when_slow: str = "greedy"
) -> tuple[FakeStreamer, str]:
    clock = Clock()
    monkeypatch.setattr(listening, "time", clock)
    streamer = FakeStreamer(RATE, cost, clock, source=source)
    shown = io.StringIO()
    job = listen(source, streamer, shown, when_slow=when_slow)
    job.run()
    return streamer, shown.getvalue()


def test_a_slow_machine_loses_nothing_and_memory_is_bounded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    streamer, shown = run(FakeSource(300.0), 3.0, monkeypatch)
    assert streamer.samples == 300 * RATE and streamer.finished and "END" in shown
    assert streamer.most <= listening.WAITING_SECONDS + 2
    assert streamer.simplified == ["greedy"]
    assert caplog.text.count("too slow") == 1 and "when_slow=greedy" in caplog.text


@pytest.mark.parametrize(
    ("when_slow", "done"), [("larger_blocks", ["larger_blocks"] * listening.LARGER_BLOCKS), ("nothing", [])]
)
def test_what_is_done_when_it_is_slow_is_chosen(
    when_slow: str, done: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    streamer, _ = run(FakeSource(100.0), 3.0, monkeypatch, when_slow=when_slow)
    assert streamer.simplified == done
    assert caplog.text.count("too slow") == 1 and f"when_slow={'greedy' if not done else when_slow}" in caplog.text


@pytest.mark.parametrize(("pace", "cost"), [(0.0, 3.0), (1.0, 0.9), (2.0, 0.45)])
def test_a_machine_that_keeps_the_pace_is_not_slow(
    pace: float, cost: float, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    streamer, _ = run(FakeSource(100.0, pace), cost, monkeypatch)
    assert streamer.samples == 100 * RATE and not streamer.simplified and not caplog.text


def test_a_file_at_twice_its_pace_needs_twice_the_speed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    streamer, _ = run(FakeSource(100.0, 2.0), 0.9, monkeypatch)
    assert streamer.simplified and "too slow" in caplog.text


def test_a_source_that_fails_has_its_words_first(monkeypatch: pytest.MonkeyPatch) -> None:
    source = FakeSource(2.0, error=AudioError("it has vanished"))
    clock = Clock()
    streamer, shown = FakeStreamer(RATE, 0.1, clock, source=source), io.StringIO()
    with pytest.raises(AudioError, match="vanished"):
        listen(source, streamer, shown).run()
    assert streamer.samples == 2 * RATE and "END" in shown.getvalue()


def test_a_device_that_gives_nothing_has_vanished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "SILENT_DEVICE_SECONDS", 0.2)
    source = FakeSource(1.0, live=True, hangs=True)
    streamer = FakeStreamer(RATE, 0.0, Clock(), source=source)
    with pytest.raises(AudioError, match="no sound"):
        listen(source, streamer, io.StringIO()).run()
    assert streamer.finished and source.closed.is_set()


def test_a_stop_ends_with_the_final() -> None:
    source = FakeSource(1.0, hangs=True)
    streamer, shown = FakeStreamer(RATE, 0.0, Clock(), source=source), io.StringIO()
    job = listen(source, streamer, shown)
    threading.Timer(0.3, job.stop).start()
    job.run()
    assert streamer.samples == RATE and "END" in shown.getvalue()


class ClosedPipe:
    """A display that nobody reads."""

    def show(self, event: Event) -> None:
        raise BrokenPipeError


def test_files_get_the_last_final_though_nobody_reads_the_display(tmp_path: Path) -> None:
    model, tokenizer = streaming_model()
    recognizer = StreamingRecognizer(model, tokenizer, "tiny")
    output = LiveTranscript(tmp_path / "talk.txt", "-", "tiny", decoding="greedy", subtitles=SubtitleOptions())
    job = Listening(RawPipe(io.BytesIO(pcm()).read), recognizer.stream, ClosedPipe(), outputs=[output])
    with pytest.raises(BrokenPipeError):
        job.run()
    assert (tmp_path / "talk.txt").read_text().strip()


def test_a_dumb_terminal_gets_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdout", Terminal())
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(make_display("auto"), TextDisplay)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(make_display("auto"), TerminalDisplay)
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert isinstance(make_display("auto"), JsonLinesDisplay)
