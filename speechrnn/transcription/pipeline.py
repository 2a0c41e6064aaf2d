"""Read, recognise and decode at the same time: recordings of any number and length, in constant memory.

Reader threads run ahead of the network by a bounded amount of audio. Windows of all recordings are pooled, so that
batches hold windows of similar length, and go to a pool of threads that compute with one core each: on a CPU, two
batches on two cores are faster than one batch on both. Emissions are joined to
segments and decoded on the same threads.
"""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from speechrnn.core.failures import raise_if_fatal
from speechrnn.data.batching import group_by_length
from speechrnn.data.dataset import pad
from speechrnn.decoding.uncertainty import measure_uncertainty
from speechrnn.transcription.emissions import SegmentAssembler, SpeechSegment
from speechrnn.transcription.isolation import ItemError, compute_each, is_memory_error
from speechrnn.transcription.reader import (
    AudioBudget,
    EndOfRecording,
    NumberedSources,
    NumberedWindow,
    Reader,
    Source,
    UnreadableRecording,
)
from speechrnn.transcription.recognizer import Recognizer
from speechrnn.transcription.recording_state import RecordingState
from speechrnn.transcription.transcript import DecodedSegment, Failure, Segment, Transcript, assemble, assemble_segments
from speechrnn.transcription.unfamiliar import find_unfamiliar, lowest_rate

POOL_SECONDS = 600.0  # audio among which windows of similar length are sought
IDLE_SHARE = 0.25  # share of the pool that is enough while a thread has nothing else to do
# Windows in a batch on a CPU: with more, a core's cache does not hold the LSTM's data (64 cost a quarter more time).
ROWS = 32
DECODING_SECONDS = 300.0  # speech that is decoded together, if there is more to come
DECODING_NUMBERS = 2**24  # log-probabilities that are decoded together at most: 64 MB
READER_TIMEOUT = 5.0  # seconds to wait at the end for a reader whose file system does not answer


@dataclass(frozen=True)
class BatchEmissions:
    """Hold the emissions of a batch: (frames, symbols) on the CPU for each window."""

    windows: Sequence[NumberedWindow]
    log_probs: Sequence[Tensor | ItemError]


@dataclass(frozen=True)
class PendingSegment:
    """Hold the `number`-th segment of a recording, to be decoded."""

    recording: int
    number: int
    segment: SpeechSegment


@dataclass(frozen=True)
class DecodedBatch:
    """Hold the decoding results of segments."""

    segments: Sequence[PendingSegment]
    results: Sequence[DecodedSegment | ItemError]


@dataclass(frozen=True)
class ReaderFinished:
    """Announce that a reader has ended."""


@dataclass(frozen=True)
class ThreadError:
    """Carry an exception of a thread to where the results are awaited."""

    error: BaseException


Event = (
    NumberedWindow | EndOfRecording | UnreadableRecording | BatchEmissions | DecodedBatch | ReaderFinished | ThreadError
)


class Pipeline:
    """Transcribe many sources once, with reader threads and a pool of computing threads."""

    def __init__(
        self,
        recognizer: Recognizer,
        sources: Iterable[Source],
        batch_seconds: float,
        threads: int,
        ordered: bool,
        on_segment: Callable[[int, Segment], None] | None = None,
    ) -> None:
        """
        Args:
            recognizer: network, decoder and constants.
            sources: files and samples.
            batch_seconds: most audio in a batch, padding included.
            threads: batches that are computed at the same time.
            ordered: yield results in the order of the sources.
            on_segment: see `Transcriber.transcribe`.
        """
        self._recognizer = recognizer
        self._batch_seconds = batch_seconds
        self._rate = recognizer.sampling_rate
        self._threads = threads
        self._ordered = ordered
        self._on_segment = on_segment
        self._pool_seconds = max(POOL_SECONDS, threads * batch_seconds)
        self._budget = AudioBudget(2 * self._pool_seconds)
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        numbered = NumberedSources(sources)
        self._readers = [
            threading.Thread(
                target=self._run_reader, args=(self._make_reader(numbered),), name=f"reader {number}", daemon=True
            )
            for number in range(max(1, threads // 2))
        ]
        self._active_readers = len(self._readers)
        self._states: dict[int, RecordingState] = {}
        self._failed: set[int] = set()  # recordings whose windows may still come
        self._pooled: list[NumberedWindow] = []
        self._pooled_seconds = 0.0
        self._active_batches = 0
        self._pending: list[PendingSegment] = []
        self._pending_seconds = 0.0
        self._decoding = False

    def run(self) -> Iterator[Transcript | Failure]:
        """Yield one result for each source, as it is ready. Closing the generator ends the threads."""
        results = self._results()
        try:
            if not self._ordered:
                yield from (result for _, result in results)
                return
            waiting: dict[int, Transcript | Failure] = {}
            following = 0
            for number, result in results:
                waiting[number] = result
                while following in waiting:
                    yield waiting.pop(following)
                    following += 1
        finally:
            results.close()

    def _results(self) -> Generator[tuple[int, Transcript | Failure], None, None]:
        torch.get_num_threads()  # a thread that sets its own number must not be the first to ask for the default
        workers = ThreadPoolExecutor(self._threads, "network", initializer=_use_one_core)
        try:
            for reader in self._readers:
                reader.start()
            while self._active_readers or self._pooled or self._active_batches or self._pending or self._decoding:
                yield from self._handle(self._events.get())
                self._submit(workers)
        finally:
            self._budget.close()
            workers.shutdown(wait=True, cancel_futures=True)
            for reader in self._readers:
                if reader.ident is not None:
                    reader.join(READER_TIMEOUT)

    def _make_reader(self, sources: NumberedSources) -> Reader:
        return Reader(
            sources=sources,
            sampling_rate=self._rate,
            step=self._recognizer.step,
            options=self._recognizer.segmentation,
            detector=self._recognizer.detector,
            budget=self._budget,
            put=self._events.put,
            lowest_rate=lowest_rate(self._recognizer.facts.training, self._rate),
        )

    def _run_reader(self, reader: Reader) -> None:
        """Run in a reader thread."""
        _use_one_core()
        try:
            reader.run()
            self._events.put(ReaderFinished())
        except BaseException as error:  # raised again where the results are awaited
            self._events.put(ThreadError(error))

    def _run_task(self, task: Callable[[], Event]) -> None:
        """Run in a computing thread."""
        try:
            with torch.inference_mode():
                event = task()
            self._events.put(event)
        except BaseException as error:
            self._events.put(ThreadError(error))

    def _handle(self, event: Event) -> Iterator[tuple[int, Transcript | Failure]]:
        """Update the state; yield the results that are complete by it."""
        if isinstance(event, ThreadError):
            raise event.error
        if isinstance(event, ReaderFinished):
            self._active_readers -= 1
        elif isinstance(event, NumberedWindow):
            if event.recording in self._failed:
                self._budget.release(self._seconds(event))
                return
            self._pooled.append(event)
            self._pooled_seconds += self._seconds(event)
        elif isinstance(event, BatchEmissions):
            yield from self._assemble(event)
        elif isinstance(event, DecodedBatch):
            yield from self._collect(event)
        elif event.recording not in self._failed:
            if isinstance(event, UnreadableRecording):
                yield self._fail(event.recording, event.failure)
            else:
                self._state(event.recording, event.audio).end = event
                yield from self._finish(event.recording)

    def _assemble(self, batch: BatchEmissions) -> Iterator[tuple[int, Transcript | Failure]]:
        self._active_batches -= 1
        for window, log_probs in zip(batch.windows, batch.log_probs, strict=True):
            seconds = self._seconds(window)
            self._budget.release(seconds)
            if window.recording in self._failed:
                continue
            state = self._state(window.recording, window.audio)
            if isinstance(log_probs, ItemError):
                yield self._fail_with(window.recording, log_probs.error, seconds)
                continue
            try:
                self._add(state, window, log_probs)
            except Exception as error:
                yield self._fail_with(window.recording, error, seconds)
                continue
            yield from self._finish(window.recording)

    def _add(self, state: RecordingState, window: NumberedWindow, log_probs: Tensor) -> None:
        """Add the emissions of a window to its recording; segments that are complete wait to be decoded."""
        for segment in state.add(window, log_probs, self._rate, self._recognizer.step):
            self._pending.append(PendingSegment(window.recording, state.segments, segment))
            self._pending_seconds += self._segment_seconds(segment)
            state.segments += 1

    def _collect(self, batch: DecodedBatch) -> Iterator[tuple[int, Transcript | Failure]]:
        self._decoding = False
        for pending, result in zip(batch.segments, batch.results, strict=True):
            if pending.recording in self._failed:
                continue
            if isinstance(result, ItemError):
                yield self._fail_with(pending.recording, result.error, self._segment_seconds(pending.segment))
                continue
            state = self._states[pending.recording]
            state.decoded[pending.number] = result
            self._announce(pending.recording, state)
            yield from self._finish(pending.recording)

    def _announce(self, recording: int, state: RecordingState) -> None:
        """Call `on_segment` with the segments that are decoded and whose predecessors are, too."""
        while self._on_segment is not None and state.announced in state.decoded:
            for segment in assemble_segments([state.decoded[state.announced]], math.inf):
                self._on_segment(recording, segment)
            state.announced += 1

    def _finish(self, recording: int) -> Iterator[tuple[int, Transcript | Failure]]:
        state = self._states[recording]
        if state.end is None or not state.complete:
            return
        try:
            decoded = [state.decoded[number] for number in range(state.segments)]
            transcript = assemble(
                state.audio,
                state.end.seconds,
                decoded,
                model=self._recognizer.model,
                decoding=self._recognizer.decoder.name,
                incomplete=state.end.incomplete,
                warnings=[*state.end.warnings, *find_unfamiliar(decoded, self._recognizer.facts)],
            )
        except Exception as error:
            yield self._fail_with(recording, error, state.end.seconds)
            return
        del self._states[recording]
        yield recording, transcript

    def _fail(self, recording: int, failure: Failure) -> tuple[int, Failure]:
        self._failed.add(recording)
        self._states.pop(recording, None)
        return recording, failure

    def _fail_with(self, recording: int, error: Exception, seconds: float) -> tuple[int, Failure]:
        """Record the failure of a recording at which an exception was raised, in a batch of so many seconds."""
        audio = self._states[recording].audio
        if not is_memory_error(error):
            raise_if_fatal(error)
            return self._fail(recording, Failure.of(audio, error))
        reason = (
            f"{audio}: {seconds:.0f} s of it do not fit into the memory of {self._recognizer.device}; "
            "make segmentation.window smaller, or free memory."
        )
        return self._fail(recording, Failure(audio, reason))

    def _state(self, recording: int, audio: str) -> RecordingState:
        if recording not in self._states:
            self._states[recording] = RecordingState(audio, SegmentAssembler(self._recognizer.seconds_per_frame))
        return self._states[recording]

    def _seconds(self, numbered: NumberedWindow) -> float:
        return len(numbered.window.samples) / self._rate

    def _segment_seconds(self, segment: SpeechSegment) -> float:
        return len(segment.log_probs) * self._recognizer.seconds_per_frame

    def _submit(self, workers: ThreadPoolExecutor) -> None:
        """Submit batches of which enough is pooled, or what is left at the end."""
        idle = self._active_batches + self._decoding < self._threads
        enough = self._pool_seconds * (IDLE_SHARE if idle else 1.0)
        if self._pooled and (self._pooled_seconds >= enough or not self._active_readers):
            for batch in self._batches():
                workers.submit(self._run_task, partial(self._compute_emissions, batch))
                self._active_batches += 1
            self._pooled, self._pooled_seconds = [], 0.0
        enough_pending = self._pending_seconds >= DECODING_SECONDS or not self._active_batches
        if self._pending and not self._decoding and enough_pending:
            # One batch at a time: the cache of a language model's states is not made for two.
            workers.submit(self._run_task, partial(self._decode, self._pending))
            self._decoding = True
            self._pending, self._pending_seconds = [], 0.0

    def _batches(self) -> Iterator[list[NumberedWindow]]:
        """Split the pool into batches of windows of similar length."""
        lengths = {number: self._seconds(window) for number, window in enumerate(self._pooled)}
        # No batch is so large that other threads have nothing to do.
        for batch in group_by_length(lengths, min(self._batch_seconds, self._pooled_seconds / self._threads)):
            parts = -(-len(batch) // ROWS) if self._recognizer.device.type == "cpu" else 1
            for start in range(parts):
                yield [self._pooled[number] for number in batch[start::parts]]

    def _compute_emissions(self, windows: Sequence[NumberedWindow]) -> BatchEmissions:
        """Run the network on a batch."""

        def log_probs(some: Sequence[NumberedWindow]) -> list[Tensor]:
            emissions, frames = self._recognizer.engine(*pad([numbered.window.samples for numbered in some]))
            return [row[:count] for row, count in zip(emissions.cpu(), frames.tolist(), strict=True)]

        return BatchEmissions(windows, compute_each(log_probs, windows))

    def _decode(self, segments: Sequence[PendingSegment]) -> DecodedBatch:
        """Decode segments, those of similar length together."""
        device, known = self._recognizer.device, self._recognizer.facts.dev is not None

        def decode(some: Sequence[PendingSegment]) -> list[DecodedSegment]:
            rows = [pending.segment.log_probs for pending in some]
            padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).to(device)
            frames = torch.tensor([len(row) for row in rows], device=device)
            results = self._recognizer.decoder(padded, frames)
            measured = measure_uncertainty(padded, frames) if known else [None] * len(rows)
            starts = [pending.segment.start for pending in some]
            return [DecodedSegment(*row) for row in zip(starts, results, measured, strict=True)]

        sizes = {number: float(pending.segment.log_probs.numel()) for number, pending in enumerate(segments)}
        results: dict[int, DecodedSegment | ItemError] = {}
        for batch in group_by_length(sizes, DECODING_NUMBERS):
            results |= zip(batch, compute_each(decode, [segments[number] for number in batch]), strict=True)
        return DecodedBatch(segments, [results[number] for number in range(len(segments))])


def _use_one_core() -> None:
    """Let the calling thread compute on one core, since there are several such threads."""
    torch.set_num_threads(1)
