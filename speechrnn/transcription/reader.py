"""Read recordings ahead of the network, and cut them into windows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from speechrnn.audio import AudioError, TruncatedAudioError, audio_blocks
from speechrnn.audio.io import OpenedAudio
from speechrnn.audio.segmentation import SegmentationOptions, Window, cut_windows, detect_speech
from speechrnn.audio.vad import SpeechDetector
from speechrnn.core.failures import raise_if_fatal
from speechrnn.transcription.isolation import ItemError, compute_each
from speechrnn.transcription.samples import UNKNOWN_RATE, Samples, resampled
from speechrnn.transcription.transcript import Failure
from speechrnn.transcription.transcript_warnings import TranscriptWarning, channels_cancel, narrow_band
from speechrnn.transcription.unfamiliar import CLOSE_RATE

CLIP_BATCH_SECONDS = 240.0  # audio of short clips that goes through the speech detector together


@dataclass(frozen=True)
class Channel:
    """Name a channel of a recording.

    >>> str(Channel("talk.wav", 1))
    'talk.wav, channel 1'

    Attributes:
        path: of the recording.
        index: of the channel, from 0.
    """

    path: str | Path
    index: int

    def __str__(self) -> str:
        return f"{self.path}, channel {self.index}"


Source = str | Path | Channel | tuple[Samples, int]
"""A file, a channel of one, or samples with their rate in Hz."""


@dataclass(frozen=True)
class NumberedWindow:
    """Hold a window of a recording with its place.

    Attributes:
        recording: number of the source, from 0.
        audio: name of the source.
        number: of the window within the recording, from 0.
        window: the samples.
    """

    recording: int
    audio: str
    number: int
    window: Window


@dataclass(frozen=True)
class EndOfRecording:
    """Announce that all windows of a recording have been put out.

    Attributes:
        recording: number of the source, from 0.
        audio: name of the source.
        windows: how many windows it has.
        seconds: length of what could be read.
        incomplete: why that was not all of it; None: it was.
        warnings: about its sound.
    """

    recording: int
    audio: str
    windows: int
    seconds: float
    incomplete: str | None
    warnings: tuple[TranscriptWarning, ...] = ()


@dataclass(frozen=True)
class UnreadableRecording:
    """Announce that a source cannot be read; windows of it may have been put out before."""

    recording: int
    failure: Failure


class ClosedError(Exception):
    """Tell a reader that its windows are not needed any more."""


class AudioBudget:
    """Bound the seconds of audio between the readers and the network; a reader that exceeds it waits."""

    def __init__(self, seconds: float) -> None:
        self._limit = seconds
        self._used = 0.0
        self._closed = False
        self._changed = threading.Condition()

    def acquire(self, seconds: float) -> None:
        """Wait until so many seconds are free; more than the whole budget passes when nothing else is in use.

        Raises:
            ClosedError: the budget is closed.
        """
        with self._changed:
            while not self._closed and self._used > 0 and self._used + seconds > self._limit:
                self._changed.wait()
            self.check_open()
            self._used += seconds

    def check_open(self) -> None:
        """Raise ClosedError once the budget is closed."""
        if self._closed:
            raise ClosedError

    def release(self, seconds: float) -> None:
        """Return seconds to the budget."""
        with self._changed:
            self._used -= seconds
            self._changed.notify_all()

    def close(self) -> None:
        """End all waiting, now and later."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class NumberedSources:
    """Number the sources, for several threads that take from them in turn."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = enumerate(sources)
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[tuple[int, Source]]:
        while True:
            with self._lock:
                try:
                    numbered = next(self._sources)
                except StopIteration:
                    return
            yield numbered


@dataclass
class Recording:
    """Follow the blocks of one source, at the model's rate; they end where the file breaks off.

    Attributes:
        number: of the source, from 0.
        name: of the source.
        source: its blocks.
        budget: closed when the blocks are not needed any more.
        samples: how many have been read.
        incomplete: why the rest could not be read.
        warnings: what is odd about its sound.
    """

    number: int
    name: str
    source: Iterator[np.ndarray]
    budget: AudioBudget
    samples: int = 0
    incomplete: str | None = None
    warnings: list[TranscriptWarning] = field(default_factory=list)

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield float32 (samples,) blocks. Raises ClosedError when they are not needed any more."""
        try:
            for block in self.source:
                self.budget.check_open()
                self.samples += len(block)
                yield block
        except TruncatedAudioError as error:
            if not self.samples:
                raise
            self.incomplete = str(error)


@dataclass
class Reader:
    """Read source after source in one thread, and put out their windows.

    Attributes:
        sources: shared with other readers.
        sampling_rate: Hz, of the network.
        step: samples per frame of the network.
        options: how recordings are cut.
        detector: finds speech; None: everything counts as speech.
        budget: windows wait for it.
        put: takes each window, end or failure.
        lowest_rate: Hz; recordings of a clearly lower rate have a warning. None: none has.
    """

    sources: NumberedSources
    sampling_rate: int
    step: int
    options: SegmentationOptions
    detector: SpeechDetector | None
    budget: AudioBudget
    put: Callable[[NumberedWindow | EndOfRecording | UnreadableRecording], None]
    lowest_rate: int | None = None
    _clips: list[tuple[Recording, np.ndarray]] = field(default_factory=list)
    _clip_seconds: float = 0.0

    def run(self) -> None:
        """Read until there are no more sources, or the budget is closed."""
        try:
            for number, source in self.sources:
                self._read(number, source)
            self._put_clips()
        except ClosedError:
            return

    def _read(self, number: int, source: Source) -> None:
        name = f"samples {number}" if isinstance(source, tuple) else str(source)
        warnings: list[TranscriptWarning] = []
        recording = Recording(number, name, self._open(number, source, warnings), budget=self.budget, warnings=warnings)
        blocks = recording.blocks()
        try:
            first = next(blocks)
            second = next(blocks, None)
        except Exception as error:
            self._put_failure(recording, error)
            return
        if second is not None:
            self._put_clips()  # which must not wait for the end of a long recording
            parts = chain([first, second], blocks)
            self._put_windows(
                recording,
                cut_windows(parts, self.sampling_rate, self.step, options=self.options, detector=self.detector),
            )
            return
        self._clips.append((recording, first))
        self._clip_seconds += len(first) / self.sampling_rate
        if self._clip_seconds >= CLIP_BATCH_SECONDS:
            self._put_clips()

    def _open(self, number: int, source: Source, warnings: list[TranscriptWarning]) -> Iterator[np.ndarray]:
        """Yield blocks, the first of which is all of a short clip; add warnings about the sound."""

        def note(opened: OpenedAudio) -> None:
            if self.lowest_rate is not None and opened.sampling_rate < CLOSE_RATE * self.lowest_rate:
                warnings.append(narrow_band(opened.sampling_rate, self.lowest_rate))
            if opened.loud_channel is not None:
                warnings.append(channels_cancel(opened.loud_channel))

        if not isinstance(source, (tuple, str, Path, Channel)) or (isinstance(source, tuple) and len(source) != 2):
            raise AudioError(
                f"Recording {number} is of the type {type(source).__name__}: give the path of a file, samples as an "
                "array or a tensor, or a pair (samples, sampling rate in Hz)."
            )
        if not isinstance(source, tuple):
            path: str | Path
            channel: int | str
            path, channel = (source.path, source.index) if isinstance(source, Channel) else (source, "mix")
            yield from audio_blocks(
                path, self.options.window, self.sampling_rate, channel=channel, strict=False, on_open=note
            )
            return
        samples = resampled(*source, self.sampling_rate, warnings)
        note(OpenedAudio(source[1]))
        size = max(1, round(self.options.window * self.sampling_rate))
        for start in range(0, len(samples), size):
            yield samples[start : start + size]

    def _put_clips(self) -> None:
        """Put out the short clips that were read; one without speech has no window."""
        clips, self._clips, self._clip_seconds = self._clips, [], 0.0

        def detect(some: Sequence[tuple[Recording, np.ndarray]]) -> list[bool]:
            return detect_speech(
                [samples for _, samples in some], self.sampling_rate, self.options, detector=self.detector
            )

        for (recording, samples), speech in zip(clips, compute_each(detect, clips) if clips else [], strict=True):
            if isinstance(speech, ItemError):
                self._put_failure(recording, speech.error)
                continue
            whole = Window(samples, 0, (0, len(samples)), first=True, last=True)
            self._put_windows(recording, iter([whole] if speech else []))

    def _put_windows(self, recording: Recording, windows: Iterator[Window]) -> None:
        count = 0
        try:
            for window in windows:
                self.budget.acquire(len(window.samples) / self.sampling_rate)
                self.put(NumberedWindow(recording.number, recording.name, count, window=window))
                count += 1
        except Exception as error:
            self._put_failure(recording, error)
            return
        seconds = recording.samples / self.sampling_rate
        self.put(
            EndOfRecording(
                recording.number,
                recording.name,
                count,
                seconds=seconds,
                incomplete=recording.incomplete,
                warnings=tuple(recording.warnings),
            )
        )

    def _put_failure(self, recording: Recording, error: Exception) -> None:
        """Announce that a recording cannot be read; raise what ends the whole job."""
        if isinstance(error, ClosedError):
            raise error
        raise_if_fatal(error)
        self.put(UnreadableRecording(recording.number, Failure.of(recording.name, error)))


def with_rate(source: Source | Samples, sampling_rate: int | None) -> Source:
    """Return the source with a rate, if it is samples without one.

    Args:
        source: a file, or samples with or without their rate.
        sampling_rate: Hz, of samples without a rate; None: not known, which is found when the source is read.
    """
    if isinstance(source, (np.ndarray, torch.Tensor)):
        return source, UNKNOWN_RATE if sampling_rate is None else sampling_rate
    return source
