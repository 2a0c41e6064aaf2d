"""Recordings read ahead of the network, and cut into the pieces that it is to hear."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np

from speechrnn.audio import MIN_SECONDS, AudioError, TruncatedAudioError, audio_blocks
from speechrnn.audio.segmentation import SegmentationOptions, Window, cut_windows, detect_speech
from speechrnn.audio.vad import SpeechDetector
from speechrnn.core.errors import UserError
from speechrnn.transcription.transcript import Failure

CLIPS = 240.0  # seconds of short clips in which speech is sought together

Source = str | Path | tuple[np.ndarray, int]
"""A file, or samples (samples,) with their rate in Hz."""


@dataclass(frozen=True)
class Part:
    """A piece of a recording: the `number`-th (from 0) of the source `recording` (from 0), called `audio`."""

    recording: int
    audio: str
    number: int
    piece: Window


@dataclass(frozen=True)
class End:
    """All pieces of a recording have been given.

    Attributes:
        recording: which source it was, from 0.
        audio: its name.
        pieces: how many there were.
        seconds: of it that could be read.
        incomplete: why that was not all of it; None: it was.
    """

    recording: int
    audio: str
    pieces: int
    seconds: float
    incomplete: str | None


@dataclass(frozen=True)
class Unreadable:
    """A source that is given up; pieces of it may have been given before."""

    recording: int
    failure: Failure


class ClosedError(Exception):
    """Nobody waits for what is being read any longer."""


class Room:
    """How much audio may lie between those who read and the network; who wants to add more waits."""

    def __init__(self, seconds: float) -> None:
        self._limit = seconds
        self._taken = 0.0
        self._closed = False
        self._changed = threading.Condition()

    def take(self, seconds: float) -> None:
        """Waits until there is room; what is larger than all of it goes alone. Raises ClosedError once it is closed."""
        with self._changed:
            while not self._closed and self._taken > 0 and self._taken + seconds > self._limit:
                self._changed.wait()
            self.check()
            self._taken += seconds

    def check(self) -> None:
        """Raises ClosedError once it is closed."""
        if self._closed:
            raise ClosedError

    def free(self, seconds: float) -> None:
        """Gives room back."""
        with self._changed:
            self._taken -= seconds
            self._changed.notify_all()

    def close(self) -> None:
        """Ends all waiting, now and later."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Numbered:
    """Sources with their numbers, which several threads may take from."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = enumerate([sources] if isinstance(sources, str | Path) else sources)
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[tuple[int, Source]]:
        while True:
            with self._lock:
                try:
                    taken = next(self._sources)
                except StopIteration:
                    return
            yield taken


@dataclass
class Recording:
    """The blocks of one source, at the model's rate; where it breaks off they end.

    Attributes:
        samples: that have been read.
        incomplete: why the rest could not be read.
    """

    number: int
    name: str
    source: Iterator[np.ndarray]
    room: Room
    samples: int = 0
    incomplete: str | None = None

    def blocks(self) -> Iterator[np.ndarray]:
        """float32 (samples,) each. Raises ClosedError where nobody waits for them."""
        try:
            for block in self.source:
                self.room.check()
                self.samples += len(block)
                yield block
        except TruncatedAudioError as error:
            if not self.samples:
                raise
            self.incomplete = str(error)


@dataclass
class Reader:
    """One thread's work: takes source after source and gives their pieces on.

    Attributes:
        step: samples for each frame of the network.
        give: what takes a Part, an End or an Unreadable; parts wait for `room` first.
    """

    sources: Numbered
    sampling_rate: int
    step: int
    options: SegmentationOptions
    detector: SpeechDetector | None
    room: Room
    give: Callable[[Part | End | Unreadable], None]
    _clips: list[tuple[Recording, np.ndarray]] = field(default_factory=list)
    _held: float = 0.0  # seconds of them

    def run(self) -> None:
        """Takes sources until there are no more, or the room is closed."""
        try:
            for number, source in self.sources:
                self._read(number, source)
            self._hear_clips()
        except ClosedError:
            return

    def _read(self, number: int, source: Source) -> None:
        name = f"samples {number}" if isinstance(source, tuple) else str(source)
        recording = Recording(number, name, self._open(source), self.room)
        try:
            blocks = recording.blocks()
            head = next(blocks)
            second = next(blocks, None)
            if second is not None:
                self._hear_clips()  # which must not wait for the end of a long recording
                self._give(recording, cut_windows(chain([head, second], blocks), *self._cutting, self.detector))
                return
        except UserError as error:
            self.give(Unreadable(number, Failure(name, str(error))))
            return
        self._clips.append((recording, head))
        self._held += len(head) / self.sampling_rate
        if self._held >= CLIPS:
            self._hear_clips()

    @property
    def _cutting(self) -> tuple[int, int, SegmentationOptions]:
        return self.sampling_rate, self.step, self.options

    def _open(self, source: Source) -> Iterator[np.ndarray]:
        """Blocks of which the first one is all of a short clip."""
        if not isinstance(source, tuple):
            yield from audio_blocks(source, self.options.window, self.sampling_rate, strict=False)
            return
        samples = resampled(*source, self.sampling_rate)
        size = max(1, round(self.options.window * self.sampling_rate))
        for start in range(0, len(samples), size):
            yield samples[start : start + size]

    def _hear_clips(self) -> None:
        """Gives the short clips on; one without speech has no piece."""
        clips, self._clips, self._held = self._clips, [], 0.0
        waveforms = [samples for _, samples in clips]
        spoken = detect_speech(waveforms, self.sampling_rate, self.options, self.detector) if clips else []
        for (recording, samples), speech in zip(clips, spoken, strict=True):
            whole = Window(samples, 0, (0, len(samples)), first=True, last=True)
            self._give(recording, iter([whole] if speech else []))

    def _give(self, recording: Recording, found: Iterator[Window]) -> None:
        count = 0
        for piece in found:
            self.room.take(len(piece.samples) / self.sampling_rate)
            self.give(Part(recording.number, recording.name, count, piece))
            count += 1
        seconds = recording.samples / self.sampling_rate
        self.give(End(recording.number, recording.name, count, seconds, recording.incomplete))


def resampled(samples: np.ndarray, rate: int, sampling_rate: int) -> np.ndarray:
    """Samples of any kind as float32 (samples,) at the sampling rate.

    Raises:
        AudioError: they are no sound.
    """
    if not isinstance(samples, np.ndarray) or samples.ndim != 1 or samples.dtype.kind not in "fi":
        raise AudioError(
            "Samples must be a float or integer array of the shape (samples,), one channel of a recording."
        )
    if rate < 1 or len(samples) < MIN_SECONDS * rate:
        raise AudioError(f"{len(samples)} samples at {rate} Hz are too short to hold speech; check the sampling rate.")
    if samples.dtype.kind == "i":
        samples = samples / -float(np.iinfo(samples.dtype).min)
    samples = samples.astype(np.float32)
    if not np.isfinite(samples).all():
        raise AudioError("The samples hold NaN or infinite values; repair what made them.")
    if rate == sampling_rate:
        return samples
    import soxr

    return soxr.resample(samples, rate, sampling_rate)
