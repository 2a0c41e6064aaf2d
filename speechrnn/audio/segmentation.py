"""Segmentation of recordings of any length into windows for the network, in constant memory.

A recording no longer than a window stays whole. A longer one is cut at silences into segments of speech, and a segment
longer than a window into overlapping windows: the margins of a window are context for the network, and its outputs
count for the samples `Window.valid`. The valid parts of a segment joined are the segment. Between segments lie silence,
noise and music, which the network does not see.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from speechrnn.audio.io import TruncatedAudioError
from speechrnn.audio.samples import SILENCE, is_silent
from speechrnn.audio.vad import CHUNK, CHUNKS_PER_SECOND, WARM_UP, SpeechDetector, count_chunks
from speechrnn.core.errors import UserError

__all__ = ["SegmentationOptions", "Window", "cut_windows", "detect_speech"]

AHEAD = 480  # seconds of audio that are read and searched for speech at a time
MIN_SPEECH_SECONDS = 0.2  # of a segment; what Silero takes for speech in noise is shorter
DETECTOR_LEVEL = 0.03  # of full scale (-30 dB): root mean square to which quiet speech is raised for the detector
MAX_DETECTOR_GAIN = 1000.0  # 60 dB

_HYSTERESIS = 0.15  # speech ends where its probability falls this far below the threshold, as in Silero's own code


@dataclass(frozen=True)
class SegmentationOptions:
    """Options of `cut_windows`.

    >>> SegmentationOptions(window=20.0).context
    3.0

    Attributes:
        vad: the detector of speech, see `build_detector`; "none" takes everything for speech.
        threshold: probability from which a chunk is speech, 0 to 1.
        silence: seconds; a shorter pause does not end a segment.
        padding: seconds around speech that belong to a segment, at most half of the silence.
        window: seconds; recordings and segments up to this length are not cut.
        context: least seconds of context on both sides of the valid part of a window.

    Raises:
        UserError: a value out of range.
    """

    vad: Literal["auto", "silero", "energy", "none"] = "auto"
    threshold: float = 0.5
    silence: float = 0.5
    padding: float = 0.2
    window: float = 30.0
    context: float = 3.0

    def __post_init__(self) -> None:
        for name, fits, range_ in [
            ("threshold", 0 < self.threshold < 1, "between 0 and 1"),
            ("silence", self.silence >= 2 * CHUNK, f"at least {2 * CHUNK} seconds"),
            ("padding", 0 <= self.padding < math.inf, "0 seconds or more"),
            ("context", 0 <= self.context < math.inf, "0 seconds or more"),
            ("window", 2 * self.context + 1 <= self.window < math.inf, "at least a second longer than two contexts"),
        ]:
            if not fits:
                raise UserError(f"segmentation.{name}={getattr(self, name):g} is wrong: it must be {range_}.")


@dataclass(frozen=True)
class Window:
    """A part of a recording that goes through the network at once.

    >>> window = Window(np.zeros(1600, np.float32), start=800, valid=(1000, 2200), first=True, last=False)
    >>> window.valid[1] - window.valid[0]
    1200

    Attributes:
        samples: float32 (samples,), margins included.
        start: place of the first of them, in samples of the recording.
        valid: begin and end, in samples of the recording, of the part whose outputs count; margins lie outside.
        first: whether a segment of speech begins here.
        last: whether it ends here.
    """

    samples: np.ndarray
    start: int
    valid: tuple[int, int]
    first: bool
    last: bool


def cut_windows(
    blocks: Iterable[np.ndarray],
    sampling_rate: int,
    step: int,
    options: SegmentationOptions,
    detector: SpeechDetector | None,
) -> Iterator[Window]:
    """Cut a recording into windows while it is read; about `AHEAD` seconds and two windows of it are in memory.

    A recording no longer than a window is one window if there is speech in it, else none. The windows of a segment are
    of equal length, to a step, where its end is known before the first of them is cut.

    Args:
        blocks: float32 (samples,) each, of any lengths. A `TruncatedAudioError` from it is raised after the
            windows of what came before.
        sampling_rate: Hz.
        step: samples of a frame of the network: each window of a segment, and its valid part, begins a whole multiple
            of it after the beginning of the segment, so that the valid frames joined are those of the whole segment.
        options: see `SegmentationOptions`.
        detector: the detector of speech; None: all is one segment, except digital silence longer than a window.

    Yields:
        the windows, in order.

    >>> windows = list(cut_windows([np.ones(16000, np.float32), -np.ones(16000, np.float32)], 16000, 160,
    ...                            SegmentationOptions(), detector=None))
    >>> windows[0].valid
    (0, 32000)
    """
    source = _Source(blocks)
    window = round(options.window * sampling_rate)
    begun = source.peek(window + 1)
    if len(begun) > window:
        yield from _Cutter(sampling_rate, step, options, detector=detector).cut(source)
    elif detect_speech([begun], sampling_rate, options, detector=detector)[0]:
        yield Window(begun, 0, (0, len(begun)), first=True, last=True)
    if source.broken is not None:
        raise source.broken


def detect_speech(
    waveforms: Sequence[np.ndarray], sampling_rate: int, options: SegmentationOptions, detector: SpeechDetector | None
) -> list[bool]:
    """Return whether there is speech in each of many clips, float32 (samples,).

    Without a detector every clip counts that is not silent.

    >>> detect_speech([np.zeros(16000, np.float32)], 16000, SegmentationOptions(), detector=None)
    [False]
    """
    spoken = [not is_silent(samples) for samples in waveforms]
    if detector is not None:
        sounding = [number for number, sounds in enumerate(spoken) if sounds]
        found = detector([level_for_detector(waveforms[number], sampling_rate) for number in sounding], sampling_rate)
        for number, probabilities in zip(sounding, found, strict=True):
            tracker = _Tracker(options)
            spoken[number] = bool([*tracker.add(probabilities), *tracker.finish()])
    return spoken


def level_for_detector(samples: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Remove the mean of samples (samples,) and raise a low level, so that a detector finds quiet speech.

    The level is that of the loudest chunks for as long as speech lasts at least: shorter knocks do not count.
    """
    if not len(samples):
        return samples
    centred = samples - samples.mean(dtype=np.float64).astype(np.float32)
    edges: np.ndarray = np.arange(count_chunks(len(samples), sampling_rate)) * sampling_rate * 4 // 125
    power = np.add.reduceat(np.square(centred), edges) / np.diff(np.append(edges, len(samples)))
    loudest = min(len(power), round(MIN_SPEECH_SECONDS * CHUNKS_PER_SECOND))
    level = math.sqrt(float(np.partition(power, -loudest)[-loudest]))
    if not 0 < level < DETECTOR_LEVEL:
        return centred
    return centred * np.float32(min(DETECTOR_LEVEL / level, MAX_DETECTOR_GAIN))


class _Source:
    """A buffer that gives blocks of any lengths in the lengths that are asked for."""

    def __init__(self, blocks: Iterable[np.ndarray]) -> None:
        self._blocks = iter(blocks)
        self._held: np.ndarray = np.empty(0, np.float32)
        self.broken: TruncatedAudioError | None = None

    def peek(self, samples: int) -> np.ndarray:
        """Return the next (samples,), shorter only at the end."""
        parts, missing = [self._held], samples - len(self._held)
        try:
            while missing > 0 and (block := next(self._blocks, None)) is not None:
                parts.append(block)
                missing -= len(block)
        except TruncatedAudioError as error:
            self.broken = error
            self._blocks = iter(())
        self._held = np.concatenate(parts, dtype=np.float32)
        return self._held[:samples]

    def take(self, samples: int) -> np.ndarray:
        """Return the next (samples,) as `peek` does, and go on behind them."""
        taken = self.peek(samples)
        self._held = self._held[samples:].copy()  # a view would keep all of it
        return taken


class _Tracker:
    """Find segments of speech, in chunks, from the probabilities of chunk after chunk."""

    def __init__(self, options: SegmentationOptions) -> None:
        self._on, self._off = options.threshold, max(options.threshold - _HYSTERESIS, options.threshold / 2)
        self._pause = math.ceil(options.silence * CHUNKS_PER_SECOND)
        self._shortest = round(MIN_SPEECH_SECONDS * CHUNKS_PER_SECOND)
        self._count = 0  # chunks so far
        self._begin: int | None = None  # of the open segment
        self._end = 0  # behind the last chunk of speech in it
        self._speaking = False
        self._spoken = 0  # chunks of speech in it

    @property
    def begin(self) -> int:
        """Return the first chunk that may still become part of a segment."""
        return self._count if self._begin is None else self._begin

    @property
    def running(self) -> tuple[int, int] | None:
        """Return the first chunk, and the one behind the last so far, of the open segment."""
        return None if self._begin is None or self._spoken < self._shortest else (self._begin, self._end)

    def add(self, probabilities: np.ndarray) -> Iterator[tuple[int, int]]:
        """Yield the first chunk, and the one behind the last, of each segment that ends."""
        for probability in probabilities.tolist():
            self._speaking = probability >= (self._off if self._speaking else self._on)
            if self._speaking:
                if self._begin is None:
                    self._begin, self._spoken = self._count, 0
                self._spoken += 1
                self._end = self._count + 1
            elif self._begin is not None and self._count + 1 - self._end >= self._pause:
                yield from self.finish()
            self._count += 1

    def finish(self) -> Iterator[tuple[int, int]]:
        """Yield the open segment, if there is one, and close it."""
        if (segment := self.running) is not None:
            yield segment
        self._begin, self._speaking = None, False


class _Cutter:
    """A buffer of a recording, and the state of its cutting."""

    def __init__(
        self, sampling_rate: int, step: int, options: SegmentationOptions, detector: SpeechDetector | None
    ) -> None:
        self._rate, self._step, self._detector = sampling_rate, step, detector
        # Without a detector only a silence in which a whole window would lie is left out.
        self._tracker = _Tracker(options if detector is not None else replace(options, silence=options.window))
        self._padding = int(min(options.padding, options.silence / 2) * sampling_rate)
        self._window = int(options.window * sampling_rate) // step  # frames
        self._context = math.ceil(options.context * sampling_rate / step)  # frames
        self._held: np.ndarray = np.empty(0, np.float32)
        self._start = 0  # of the buffer, in samples of the recording
        self._ended = 0  # end of the last segment, in samples of the recording
        self._done = 0  # frames of the open segment that are valid in a window already

    def cut(self, source: _Source) -> Iterator[Window]:
        """Yield the windows of the whole source."""
        known, more = 0, True
        while more:
            fresh = source.take(AHEAD * self._rate)
            more = len(fresh) == AHEAD * self._rate
            self._held = np.concatenate([self._held, fresh])
            read = known + len(fresh)
            ended = list(self._tracker.add(self._probabilities(known)))
            if not more:
                ended += self._tracker.finish()
            for begin, end in ended:
                start, stop = self._first(begin), min(read, self._sample(end) + self._padding)
                yield from self._windows(start, stop, closed=True)
                self._ended, self._done = stop, 0
            if (running := self._tracker.running) is not None:
                yield from self._windows(self._first(running[0]), self._sample(running[1]), closed=False)
            known = read
            self._forget(known)

    def _probabilities(self, known: int) -> np.ndarray:
        """Return probabilities of speech (chunks,) in the buffer from sample `known` of the recording on."""
        if self._detector is None:
            return _sounding(self._held[known - self._start :], self._rate)
        before = min(known, round(WARM_UP * self._rate))
        samples = self._held[known - before - self._start :]
        levelled = level_for_detector(samples, self._rate)
        return self._detector([levelled], self._rate)[0][count_chunks(before, self._rate) :]

    def _windows(self, begin: int, end: int, closed: bool) -> Iterator[Window]:
        """Yield the windows, as far as they are missing, of the segment from sample `begin` on.

        Args:
            begin: first sample of the segment.
            end: sample behind the last one so far.
            closed: whether the segment ends there; if not, the last two windows wait for its end.
        """
        total = -(-(end - begin) // self._step) if closed else (end - begin) // self._step  # frames
        while self._done < total:
            first = self._done == 0
            start = self._done - (0 if first else self._context)
            left = total - start
            if not closed and left < 2 * self._window:
                return
            size = self._window
            if last := closed and left <= size:
                size = left
            elif closed:
                inner = size - 2 * self._context  # what a window adds to the ones before
                size = 2 * self._context + _ceil(left - 2 * self._context, _ceil(left - 2 * self._context, inner))
            stop = start + size
            valid = begin + self._done * self._step, end if last else begin + (stop - self._context) * self._step
            begins, ends = begin + start * self._step, end if last else begin + stop * self._step
            samples = self._held[begins - self._start : ends - self._start].copy()  # a view would keep all of it
            yield Window(samples, begins, valid, first=first, last=last)
            self._done = total if last else stop - self._context

    def _forget(self, known: int) -> None:
        """Drop samples that no later window or probability needs."""
        needed = self._first(self._tracker.begin) + max(0, self._done - self._context) * self._step
        needed = min(needed, max(0, known - round(WARM_UP * self._rate)))
        self._held = self._held[needed - self._start :].copy()
        self._start = needed

    def _first(self, chunk: int) -> int:
        """Return the sample where a segment begins whose first chunk of speech is `chunk`."""
        return max(self._ended, self._sample(chunk) - self._padding)

    def _sample(self, chunk: int) -> int:
        """Return the first sample of a chunk."""
        return chunk * self._rate * 4 // 125


def _sounding(samples: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Return (chunks,), 1 for each chunk of samples (samples,) that is not silent, else 0."""
    edges: np.ndarray = np.arange(count_chunks(len(samples), sampling_rate)) * sampling_rate * 4 // 125
    if not len(edges):
        return np.zeros(0, np.float32)
    swing = np.maximum.reduceat(samples, edges) - np.minimum.reduceat(samples, edges)
    return (swing > SILENCE).astype(np.float32)


def _ceil(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)
