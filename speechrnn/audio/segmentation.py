"""A recording of any length -> pieces that the network can take, in constant memory.

What is no longer than a window stays whole. Anything longer is cut at silences into stretches of running speech, and a
stretch longer than a window into windows that overlap: a window's margins are only heard so that the network knows what
comes before and after, and its `keep` says for which samples its answer counts. All keeps of a stretch joined are the
stretch; what lies between stretches is silence, noise or music and nobody is asked about it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from speechrnn.audio.io import SILENCE, TruncatedAudioError, is_silent
from speechrnn.audio.vad import CHUNK, CHUNKS_PER_SECOND, WARM_UP, SpeechDetector, count_chunks
from speechrnn.core.errors import UserError

__all__ = ["SegmentationOptions", "Window", "cut_windows", "detect_speech"]

AHEAD = 480  # seconds of audio that are read, and searched for speech, at a time
MIN_SPEECH_SECONDS = 0.2  # seconds that speech lasts at least; what Silero takes for speech in noise is shorter
DETECTOR_LEVEL = 0.03  # of full scale (-30 dB): root mean square to which quiet speech is raised for the detector
MAX_DETECTOR_GAIN = 1000.0  # 60 dB

_HYSTERESIS = 0.15  # speech ends where its probability falls this far below the threshold, as in Silero's own code


@dataclass(frozen=True)
class SegmentationOptions:
    """How long recordings are cut.

    Attributes:
        vad: what finds the silences, see `speechrnn.vad.build_detector`; "none" takes everything for speech.
        threshold: probability from which a chunk is speech, 0 to 1.
        silence: seconds; a shorter pause does not end a stretch of speech.
        padding: seconds kept around speech, at most half of the silence.
        window: seconds; recordings and stretches up to this length are not cut.
        context: seconds that the network hears, at least, on both sides of what counts in a window.
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
    """What goes through the network at once.

    Attributes:
        samples: float32 (samples,), margins included.
        start: where `samples` begins, in samples of the recording.
        valid: from where to where the answer counts, in samples of the recording; margins lie outside.
        first: whether a stretch of running speech begins here.
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
    """Cuts a recording while it is read; about `AHEAD` seconds and two windows of it are in memory.

    A recording no longer than a window is one piece if there is speech in it, and none if there is not. The pieces of
    a longer stretch are of equal length, to a step, where its end has been seen before the first of them is cut.

    Args:
        blocks: float32 (samples,) each, of any lengths. A `TruncatedAudioError` from it is raised once the pieces of
            what came before are out.
        sampling_rate: Hz.
        step: samples to a frame of the network: each piece of a stretch starts, and is kept from, a whole multiple of
            it after the beginning of the stretch, so that the kept frames joined are those of the whole stretch.
        detector: what finds the silences; None: all is one stretch, but for digital silence longer than a window.

    Yields:
        the pieces, in order.
    """
    source = _Source(blocks)
    window = round(options.window * sampling_rate)
    begun = source.peek(window + 1)
    if len(begun) > window:
        yield from _Cutter(sampling_rate, step, options, detector).cut(source)
    elif detect_speech([begun], sampling_rate, options, detector)[0]:
        yield Window(begun, 0, (0, len(begun)), True, True)
    if source.broken is not None:
        raise source.broken


def detect_speech(
    waveforms: Sequence[np.ndarray], sampling_rate: int, options: SegmentationOptions, detector: SpeechDetector | None
) -> list[bool]:
    """In which of many clips, float32 (samples,) each, somebody speaks; with no detector: which are not silent."""
    heard = [not is_silent(samples) for samples in waveforms]
    if detector is not None:
        sounding = [number for number, sounds in enumerate(heard) if sounds]
        found = detector([level_for_detector(waveforms[number], sampling_rate) for number in sounding], sampling_rate)
        for number, probabilities in zip(sounding, found, strict=True):
            tracker = _Tracker(options)
            heard[number] = bool([*tracker.hear(probabilities), *tracker.finish()])
    return heard


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
    """Blocks of any lengths, taken in the lengths that are wanted."""

    def __init__(self, blocks: Iterable[np.ndarray]) -> None:
        self._blocks = iter(blocks)
        self._held: np.ndarray = np.empty(0, np.float32)
        self.broken: TruncatedAudioError | None = None

    def peek(self, samples: int) -> np.ndarray:
        """The next (samples,), shorter only at the end."""
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
        """As `peek`, and goes on behind them."""
        taken = self.peek(samples)
        self._held = self._held[samples:].copy()  # a view would keep all of it
        return taken


class _Tracker:
    """Speech probabilities, chunk by chunk -> stretches of speech, in chunks."""

    def __init__(self, options: SegmentationOptions) -> None:
        self._on, self._off = options.threshold, max(options.threshold - _HYSTERESIS, options.threshold / 2)
        self._pause = math.ceil(options.silence * CHUNKS_PER_SECOND)
        self._shortest = round(MIN_SPEECH_SECONDS * CHUNKS_PER_SECOND)
        self._heard = 0  # chunks
        self._begin: int | None = None  # of the stretch that goes on
        self._end = 0  # behind the last chunk of speech in it
        self._speaking = False
        self._spoken = 0  # chunks of speech in it

    @property
    def begin(self) -> int:
        """The first chunk that may still become part of a stretch."""
        return self._heard if self._begin is None else self._begin

    @property
    def running(self) -> tuple[int, int] | None:
        """First chunk, and the one behind the last so far, of a stretch that may go on."""
        return None if self._begin is None or self._spoken < self._shortest else (self._begin, self._end)

    def hear(self, probabilities: np.ndarray) -> Iterator[tuple[int, int]]:
        """First chunk, and the one behind the last, of each stretch that ends."""
        for probability in probabilities.tolist():
            self._speaking = probability >= (self._off if self._speaking else self._on)
            if self._speaking:
                if self._begin is None:
                    self._begin, self._spoken = self._heard, 0
                self._spoken += 1
                self._end = self._heard + 1
            elif self._begin is not None and self._heard + 1 - self._end >= self._pause:
                yield from self.finish()
            self._heard += 1

    def finish(self) -> Iterator[tuple[int, int]]:
        """The stretch that goes on, which is now known to have ended."""
        if (stretch := self.running) is not None:
            yield stretch
        self._begin, self._speaking = None, False


class _Cutter:
    """What is held of a recording, and how far it is cut."""

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
        self._start = 0  # of what is held, in samples of the recording
        self._ended = 0  # where the last stretch ended, in samples of the recording
        self._done = 0  # frames of the running stretch that are kept in some piece already

    def cut(self, source: _Source) -> Iterator[Window]:
        """The pieces of all there is in `source`."""
        heard, more = 0, True
        while more:
            fresh = source.take(AHEAD * self._rate)
            more = len(fresh) == AHEAD * self._rate
            self._held = np.concatenate([self._held, fresh])
            known = heard + len(fresh)
            ended = [*self._tracker.hear(self._listen(heard)), *([] if more else self._tracker.finish())]
            for begin, end in ended:
                start, stop = self._first(begin), min(known, self._sample(end) + self._padding)
                yield from self._windows(start, stop, closed=True)
                self._ended, self._done = stop, 0
            if (running := self._tracker.running) is not None:
                yield from self._windows(self._first(running[0]), self._sample(running[1]), closed=False)
            heard = known
            self._forget(heard)

    def _listen(self, heard: int) -> np.ndarray:
        """Speech probabilities (chunks,) of what is held from sample `heard` on."""
        if self._detector is None:
            return _sounding(self._held[heard - self._start :], self._rate)
        before = min(heard, round(WARM_UP * self._rate))
        samples = self._held[heard - before - self._start :]
        levelled = level_for_detector(samples, self._rate)
        return self._detector([levelled], self._rate)[0][count_chunks(before, self._rate) :]

    def _windows(self, begin: int, end: int, closed: bool) -> Iterator[Window]:
        """What is not yet in pieces of the stretch from sample `begin` on.

        Args:
            closed: whether it ends at sample `end`; if not, it goes on, and as much is left as takes two windows.
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
            keep = begin + self._done * self._step, end if last else begin + (stop - self._context) * self._step
            begins, ends = begin + start * self._step, end if last else begin + stop * self._step
            samples = self._held[begins - self._start : ends - self._start].copy()  # a view would keep all of it
            yield Window(samples, begins, keep, first, last)
            self._done = total if last else stop - self._context

    def _forget(self, heard: int) -> None:
        """Lets go of what no later piece or probability needs."""
        needed = self._first(self._tracker.begin) + max(0, self._done - self._context) * self._step
        needed = min(needed, max(0, heard - round(WARM_UP * self._rate)))
        self._held = self._held[needed - self._start :].copy()
        self._start = needed

    def _first(self, chunk: int) -> int:
        """The sample where a stretch begins whose first chunk of speech is `chunk`."""
        return max(self._ended, self._sample(chunk) - self._padding)

    def _sample(self, chunk: int) -> int:
        """The first sample of a chunk."""
        return chunk * self._rate * 4 // 125


def _sounding(samples: np.ndarray, sampling_rate: int) -> np.ndarray:
    """(chunks,) 1 for each chunk of samples (samples,) that is not silent, else 0."""
    edges: np.ndarray = np.arange(count_chunks(len(samples), sampling_rate)) * sampling_rate * 4 // 125
    if not len(edges):
        return np.zeros(0, np.float32)
    swing = np.maximum.reduceat(samples, edges) - np.minimum.reduceat(samples, edges)
    return (swing > SILENCE).astype(np.float32)


def _ceil(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)
