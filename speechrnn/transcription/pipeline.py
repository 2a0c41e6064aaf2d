"""Reading, network and decoding at the same time: recordings of any number and length, in constant memory.

Threads that read run ahead of the network by a bounded amount of audio. Pieces of all recordings are pooled, so that
batches hold pieces of like length, and go to a pool of threads that compute with one core each: on a CPU, two batches
on two cores are faster than one batch on both. What is heard is joined to stretches and decoded on the same threads.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from speechrnn.data.batching import group_by_length
from speechrnn.data.dataset import pad
from speechrnn.decoding.hypothesis import DecodingResult
from speechrnn.transcription.emissions import Stretch, Stretches, kept
from speechrnn.transcription.reader import End, Numbered, Part, Reader, Room, Source, Unreadable
from speechrnn.transcription.transcript import DecodedSegment, Failure, Transcript, assemble

if TYPE_CHECKING:
    from speechrnn.transcription.transcriber import Transcriber

POOL = 600.0  # seconds of audio among which pieces of like length are sought
EARLY = 0.25  # share of the pool that will do while a thread has nothing else to do
ROWS = (
    32  # of a batch on a CPU: with more, a core's cache does not hold what the LSTM works on (64 cost a quarter more)
)
DECODED = 300.0  # seconds of speech that are decoded together, if there is more to come
NUMBERS = 2**24  # log-probabilities that are decoded together at most: 64 MB
PATIENCE = 5.0  # seconds; a reader whose file system does not answer is not waited for when all is over

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Heard:
    """What the network made of a batch: for each piece (frames, symbols) on the CPU; None: memory does not suffice."""

    parts: Sequence[Part]
    log_probs: Sequence[Tensor | None]


@dataclass(frozen=True)
class Ready:
    """The `number`-th stretch of a recording, to be decoded."""

    recording: int
    number: int
    stretch: Stretch


@dataclass(frozen=True)
class Found:
    """What was decoded; None: memory does not suffice."""

    ready: Sequence[Ready]
    decoded: Sequence[DecodingResult | None]


@dataclass(frozen=True)
class Finished:
    """A reader has no more to read."""


@dataclass(frozen=True)
class Broken:
    """What went wrong in a thread, to be raised where the results are waited for."""

    error: BaseException


Event = Part | End | Unreadable | Heard | Found | Finished | Broken


@dataclass
class State:
    """What is known so far of one recording.

    Attributes:
        audio: its name.
        ahead: heard pieces before which others are missing, by number.
        taken: pieces that have gone into `stretches`.
        made: stretches that have come out of it.
        said: of these, what is decoded.
        end: known when all of it has been read.
    """

    audio: str
    stretches: Stretches
    ahead: dict[int, tuple[Part, Tensor]] = field(default_factory=dict)
    taken: int = 0
    made: int = 0
    said: dict[int, DecodedSegment] = field(default_factory=dict)
    end: End | None = None

    def hear(self, part: Part, log_probs: Tensor, sampling_rate: int, step: int) -> Iterator[Stretch]:
        """Takes a piece; yields the stretches that are now complete."""
        self.ahead[part.number] = part, log_probs
        while self.taken in self.ahead:
            one, frames = self.ahead.pop(self.taken)
            self.taken += 1
            piece = one.piece
            frames = kept(frames, piece.start, piece.valid, step, piece.last)
            yield from self.stretches.add(piece.valid[0] / sampling_rate, frames, piece.first, piece.last)

    @property
    def complete(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.end is not None and self.taken == self.end.pieces and len(self.said) == self.made


class Pipeline:
    """One run of a transcriber over many sources."""

    def __init__(self, transcriber: Transcriber, sources: Iterable[Source], batch_seconds: float) -> None:
        self._transcriber = transcriber
        self._batch_seconds = batch_seconds
        self._rate = transcriber.sampling_rate
        self._step = transcriber.step
        self._threads = transcriber.threads
        self._pool_seconds = max(POOL, self._threads * batch_seconds)
        self._room = Room(2 * self._pool_seconds)
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        numbered = Numbered(sources)
        cutting = self._rate, self._step, transcriber.segmentation, transcriber.detector
        self._readers = [
            threading.Thread(
                target=self._guarded,
                args=(Reader(numbered, *cutting, self._room, self._events.put).run,),
                name=f"reader {number}",
                daemon=True,
            )
            for number in range(max(1, self._threads // 2))
        ]
        self._reading = len(self._readers)  # that are at work
        self._states: dict[int, State] = {}
        self._failed: set[int] = set()  # whose pieces may still come
        self._pooled: list[Part] = []
        self._pooled_seconds = 0.0
        self._listening = 0  # batches
        self._ready: list[Ready] = []
        self._ready_seconds = 0.0
        self._decoding = False

    def run(self) -> Iterator[Transcript | Failure]:
        """One result a source, as it is ready. Closing the generator ends the threads."""
        torch.get_num_threads()  # a thread that asks for one core must not be the first to say how many there are
        workers = ThreadPoolExecutor(self._threads, "network", initializer=_one_core)
        try:
            for reader in self._readers:
                reader.start()
            while self._reading or self._pooled or self._listening or self._ready or self._decoding:
                yield from self._take(self._events.get())
                self._submit(workers)
        finally:
            self._room.close()
            workers.shutdown(wait=True, cancel_futures=True)
            for reader in self._readers:
                if reader.ident is not None:
                    reader.join(PATIENCE)

    def _guarded(self, read: Callable[[], None]) -> None:
        """A reader's thread."""
        _one_core()
        try:
            read()
            self._events.put(Finished())
        except BaseException as error:  # whatever it is, it is the business of who waits for results
            self._events.put(Broken(error))

    def _work(self, task: Callable[[], Event]) -> None:
        """A worker's task."""
        try:
            with torch.inference_mode():
                event = task()
            self._events.put(event)
        except BaseException as error:
            self._events.put(Broken(error))

    def _take(self, event: Event) -> Iterator[Transcript | Failure]:
        """Learns what has happened; yields what is complete by it."""
        if isinstance(event, Broken):
            raise event.error
        if isinstance(event, Finished):
            self._reading -= 1
        elif isinstance(event, Part):
            self._pooled.append(event)
            self._pooled_seconds += self._seconds(event)
        elif isinstance(event, Heard):
            yield from self._hear(event)
        elif isinstance(event, Found):
            yield from self._find(event)
        elif event.recording not in self._failed:
            if isinstance(event, Unreadable):
                yield self._fail(event.recording, event.failure)
            else:
                self._state(event.recording, event.audio).end = event
                yield from self._complete(event.recording)

    def _hear(self, event: Heard) -> Iterator[Transcript | Failure]:
        self._listening -= 1
        for part, log_probs in zip(event.parts, event.log_probs, strict=True):
            seconds = self._seconds(part)
            self._room.free(seconds)
            if part.recording in self._failed:
                continue
            state = self._state(part.recording, part.audio)
            if log_probs is None:
                yield self._too_large(part.recording, seconds)
                continue
            for stretch in state.hear(part, log_probs, self._rate, self._step):
                self._ready.append(Ready(part.recording, state.made, stretch))
                self._ready_seconds += self._lasts(stretch)
                state.made += 1
            yield from self._complete(part.recording)

    def _find(self, event: Found) -> Iterator[Transcript | Failure]:
        self._decoding = False
        for ready, decoded in zip(event.ready, event.decoded, strict=True):
            if ready.recording in self._failed:
                continue
            if decoded is None:
                yield self._too_large(ready.recording, self._lasts(ready.stretch))
                continue
            self._states[ready.recording].said[ready.number] = DecodedSegment(ready.stretch.start, decoded)
            yield from self._complete(ready.recording)

    def _complete(self, recording: int) -> Iterator[Transcript]:
        state = self._states[recording]
        if state.end is None or not state.complete:
            return
        del self._states[recording]
        said = [state.said[number] for number in range(state.made)]
        name, decoding = self._transcriber.name, self._transcriber.decoder.name
        yield assemble(state.audio, state.end.seconds, said, name, decoding, state.end.incomplete)

    def _fail(self, recording: int, failure: Failure) -> Failure:
        self._failed.add(recording)
        self._states.pop(recording, None)
        return failure

    def _too_large(self, recording: int, seconds: float) -> Failure:
        audio, device = self._states[recording].audio, self._transcriber.device
        reason = f"{audio}: {seconds:.0f} s of it do not fit into the memory of {device}; "
        return self._fail(recording, Failure(audio, reason + "make segmentation.window smaller, or free memory."))

    def _state(self, recording: int, audio: str) -> State:
        if recording not in self._states:
            self._states[recording] = State(audio, Stretches(self._transcriber.seconds_per_frame))
        return self._states[recording]

    def _seconds(self, part: Part) -> float:
        return len(part.piece.samples) / self._rate

    def _lasts(self, stretch: Stretch) -> float:
        return len(stretch.log_probs) * self._transcriber.seconds_per_frame

    def _submit(self, workers: ThreadPoolExecutor) -> None:
        """Gives the workers what there is enough of, or what is left."""
        idle = self._listening + self._decoding < self._threads
        enough = self._pool_seconds * (EARLY if idle else 1.0)
        if self._pooled and (self._pooled_seconds >= enough or not self._reading):
            for batch in self._batches():
                workers.submit(self._work, partial(self._listen, batch))
                self._listening += 1
            self._pooled, self._pooled_seconds = [], 0.0
        if self._ready and not self._decoding and (self._ready_seconds >= DECODED or not self._listening):
            # One at a time: a search asks a language model whose memory is not for two.
            workers.submit(self._work, partial(self._decode, self._ready))
            self._decoding = True
            self._ready, self._ready_seconds = [], 0.0

    def _batches(self) -> Iterator[list[Part]]:
        """The pool in batches of like length."""
        lengths = {number: self._seconds(part) for number, part in enumerate(self._pooled)}
        # No batch so large that other threads have nothing to do.
        for batch in group_by_length(lengths, min(self._batch_seconds, self._pooled_seconds / self._threads)):
            parts = -(-len(batch) // ROWS) if self._transcriber.device.type == "cpu" else 1
            for start in range(parts):
                yield [self._pooled[number] for number in batch[start::parts]]

    def _listen(self, parts: Sequence[Part]) -> Heard:
        """Work: the network."""

        def log_probs(some: Sequence[Part]) -> list[Tensor]:
            heard, frames = self._transcriber.engine(*pad([part.piece.samples for part in some]))
            return [row[:count] for row, count in zip(heard.cpu(), frames.tolist(), strict=True)]

        return Heard(parts, what_fits(log_probs, parts))

    def _decode(self, ready: Sequence[Ready]) -> Found:
        """Work: the search."""
        device = self._transcriber.device

        def decoded(some: Sequence[Ready]) -> list[DecodingResult]:
            rows = [one.stretch.log_probs for one in some]
            padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
            return self._transcriber.decoder(padded.to(device), torch.tensor([len(row) for row in rows], device=device))

        lengths = {number: float(one.stretch.log_probs.numel()) for number, one in enumerate(ready)}
        found: list[DecodingResult | None] = [None] * len(ready)
        for batch in group_by_length(lengths, NUMBERS):
            for number, one in zip(batch, what_fits(decoded, [ready[number] for number in batch]), strict=True):
                found[number] = one
        return Found(ready, found)


def what_fits(work: Callable[[Sequence[ItemT]], Sequence[ResultT]], items: Sequence[ItemT]) -> list[ResultT | None]:
    """The work's result for each item, done in halves where the memory does not suffice for all at once.

    Returns:
        None for an item that does not even fit alone.
    """
    try:
        return list(work(items))
    except (MemoryError, RuntimeError) as error:  # torch's own errors are RuntimeErrors, on a CPU nothing narrower
        if isinstance(error, RuntimeError) and "memory" not in str(error).lower():
            raise
    if len(items) == 1:
        return [None]
    half = len(items) // 2
    return [*what_fits(work, items[:half]), *what_fits(work, items[half:])]


def _one_core() -> None:
    """For threads that are several: each computes on one core."""
    torch.set_num_threads(1)
