"""Recognise one live source: sound comes in on a thread, events go to a display and to files."""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from speechrnn.audio.errors import AudioError
from speechrnn.audio.live import LiveSource, PacedFile, SampleFormat
from speechrnn.audio.mixing import StreamingMixer
from speechrnn.audio.samples import as_floats
from speechrnn.jobs.live_output import (
    Display,
    JsonLinesDisplay,
    LiveTranscript,
    TerminalDisplay,
    TextDisplay,
    messages_above,
)
from speechrnn.transcription.events import Event
from speechrnn.transcription.streamer import Streamer
from speechrnn.transcription.transcript_warnings import channels_cancel
from speechrnn.transcription.writers import SubtitleOptions

logger = logging.getLogger("speechrnn")

WAITING_SECONDS = 60.0  # of sound that may wait for the network; then its source waits, too
TURN_SECONDS = 1.0  # of waiting sound that are recognised at a time
SILENT_DEVICE_SECONDS = 5.0  # without a packet after which a microphone counts as vanished
LARGER_BLOCKS = 2  # times that blocks may be doubled


@dataclass(frozen=True)
class ListenOptions:
    """Options of `speechrnn listen` beside those of the recogniser; conf/listen.yaml explains each key.

    Attributes:
        model: an acoustic model directory or the name of a model.
        input: None: the microphone; "-": standard input; or a file.
        rate, format, channels: of raw PCM from a pipe.
        pace: seconds of a file that are read in a second; 0: as fast as possible.
        microphone: which one, as sounddevice names them.
        packet: seconds of sound that are recognised at a time.
        show: how events are printed.
        output: transcript files.
        subtitles: layout of srt and vtt.
        when_slow: what to do when the machine is too slow.
        slow_after: seconds that recognition lags behind the sound before it counts as too slow.
    """

    model: str
    input: str | None = None
    rate: int = field(default=16000, metadata={"min": 1000, "max": 1_000_000})
    format: SampleFormat = "s16"
    channels: int = field(default=1, metadata={"min": 1, "max": 64})
    pace: float = field(default=1.0, metadata={"min": 0.0})
    microphone: str | int | None = None
    packet: float = field(default=0.1, metadata={"min": 0.001, "max": 10.0})
    show: Literal["auto", "terminal", "text", "json"] = "auto"
    output: Path | tuple[Path, ...] = ()
    subtitles: SubtitleOptions = field(default_factory=SubtitleOptions)
    when_slow: Literal["greedy", "larger_blocks", "nothing"] = "greedy"
    slow_after: float = field(default=2.0, metadata={"min": 0.1})

    @property
    def outputs(self) -> tuple[Path, ...]:
        """Return the transcript files."""
        return (self.output,) if isinstance(self.output, Path) else self.output


@dataclass(frozen=True)
class _End:
    """The end of the sound, and why it came early, if it did."""

    error: BaseException | None = None


def make_display(show: str) -> Display:
    """Return the display of the option `show`: "auto" is the terminal where there is one, else JSON lines."""
    if show == "auto":
        show = "terminal" if sys.stdout.isatty() else "json"
        if show == "terminal" and os.environ.get("TERM") == "dumb":  # which cannot rewrite a line
            show = "text"
    if show == "terminal":
        return TerminalDisplay(sys.stdout)
    return TextDisplay(sys.stdout) if show == "text" else JsonLinesDisplay(sys.stdout)


class Listening:
    """Recognise a source until it ends or `stop` is called.

    Attributes:
        behind: seconds of sound that have come in and wait for recognition.
    """

    def __init__(
        self,
        source: LiveSource,
        start: Callable[[int], Streamer],
        display: Display,
        outputs: Sequence[LiveTranscript] = (),
        when_slow: str = "greedy",
        slow_after: float = 2.0,
    ) -> None:
        """
        Args:
            source: of the sound.
            start: begins a stream of a sampling rate.
            display: shows events.
            outputs: take finals.
            when_slow, slow_after: see `ListenOptions`.
        """
        self._source = source
        self._start = start
        self._display = display
        self._outputs = outputs
        self._when_slow = when_slow
        self._slow_after = slow_after
        self._packets: queue.SimpleQueue[np.ndarray | _End] = queue.SimpleQueue()
        self._waiting = 0.0  # seconds in the queue
        self._lock = threading.Condition()
        self._stopped = False
        self._streamer: Streamer | None = None
        self._mixer: StreamingMixer | None = None
        self._began = 0.0
        self._recognised = 0.0  # seconds
        self._slow = 0  # times that something was done about it

    def stop(self) -> None:
        """End the stream after the sound that has come in, from a signal handler or another thread."""
        self._stopped = True
        self._source.close()

    def run(self) -> None:
        """Recognise until the end; the words before an error are shown and written first.

        Raises:
            AudioError, UserError: of the source.
            BrokenPipeError: nobody reads what is displayed any more.
        """
        threading.Thread(target=self._read, name="live source", daemon=True).start()
        error: BaseException | None = None
        with messages_above(self._display):
            try:
                error = self._recognise()
            finally:
                self.stop()
                if self._streamer is not None:
                    self._handle(self._streamer.finish())
        if error is not None:
            raise error

    def _read(self) -> None:
        """Put the packets of the source into the queue."""
        error: BaseException | None = None
        try:
            for packet in self._source.packets():
                seconds = len(packet) / self._source.sampling_rate
                with self._lock:
                    while self._waiting > WAITING_SECONDS and not self._stopped:
                        self._lock.wait(0.1)
                    self._waiting += seconds
                self._packets.put(packet)
                if self._stopped:
                    break
        except BaseException as caught:
            error = caught
        self._packets.put(_End(error))

    def _recognise(self) -> BaseException | None:
        """Recognise packets until the end; return why it came early."""
        arrived = time.monotonic()
        while True:
            try:
                packet = self._packets.get(timeout=0.1)
            except queue.Empty:
                if self._stopped:
                    return None
                if self._source.live and time.monotonic() - arrived > SILENT_DEVICE_SECONDS:
                    return AudioError(
                        f"The {self._source.name} has given no sound for {SILENT_DEVICE_SECONDS:g} s; connect it again."
                    )
                continue
            arrived = time.monotonic()
            packets, end = self._take_waiting(packet)
            if packets:
                self._accept(np.concatenate(packets, axis=1))
            if end is not None:
                return end.error

    def _take_waiting(self, packet: np.ndarray | _End) -> tuple[list[np.ndarray], _End | None]:
        """Return a packet with those that wait behind it, for at most `TURN_SECONDS`."""
        packets: list[np.ndarray] = []
        samples = 0
        while not isinstance(packet, _End):
            packets.append(as_floats(packet).reshape(len(packet), -1).T)
            samples += len(packet)
            if samples >= TURN_SECONDS * self._source.sampling_rate:
                return packets, None
            try:
                packet = self._packets.get_nowait()
            except queue.Empty:
                return packets, None
        return packets, packet

    def _accept(self, channels: np.ndarray) -> None:
        """Recognise the next (channels, samples)."""
        if self._streamer is None or self._mixer is None:  # the rate is known only now
            self._began = time.monotonic()
            self._mixer = StreamingMixer(self._source.sampling_rate)
            self._streamer = self._start(self._source.sampling_rate)
            if isinstance(self._source, PacedFile) and self._source.opened is not None:
                self._streamer.warnings.check_rate(self._source.opened.sampling_rate)
        samples = self._mixer.accept(channels)
        if self._mixer.loud_channel is not None:
            self._streamer.warnings.add(channels_cancel(self._mixer.loud_channel))
        self._handle(self._streamer.accept(samples))
        seconds = len(samples) / self._source.sampling_rate
        self._recognised += seconds
        with self._lock:
            self._waiting -= seconds
            self._lock.notify_all()
        self._check_speed()

    @property
    def behind(self) -> float:
        """Return the lag of recognition in seconds: the sound that waits, or less if less is late by the clock."""
        if self._source.pace == 0:  # without a clock, nothing is late
            return 0.0
        return min(self._waiting, time.monotonic() - self._began - self._recognised / self._source.pace)

    def _check_speed(self) -> None:
        """Warn once when the machine is too slow, and do what the option `when_slow` says."""
        if self.behind < self._slow_after or self._streamer is None:
            return
        again = self._slow and self._when_slow == "larger_blocks" and self._slow < LARGER_BLOCKS
        if not self._slow:
            what = {
                "greedy": "decoding goes on greedily (when_slow=greedy)",
                "larger_blocks": "blocks are doubled, and words come later (when_slow=larger_blocks)",
                "nothing": "words come later and later; choose when_slow=greedy, a smaller model or decoding=greedy",
            }[self._when_slow]
            logger.warning("This machine is too slow: recognition is %.1f s behind; %s.", self.behind, what)
        if self._when_slow == "nothing":
            self._slow = 1
        elif not self._slow or again:
            self._slow += 1
            self._streamer.simplify("greedy" if self._when_slow == "greedy" else "larger_blocks")
            self._began = time.monotonic() - self._recognised / self._source.pace  # the delay is counted anew from here

    def _handle(self, events: Sequence[Event]) -> None:
        for event in events:  # files first: they get the last final also where nobody reads the display any more
            if event.kind == "final":
                for output in self._outputs:
                    output.add(event)
            self._display.show(event)
