"""Submit chunks to a pool of workers, wherever they are."""

from __future__ import annotations

import queue
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from speechrnn.core.errors import UserError
from speechrnn.jobs.executors.scheduler import Scheduler
from speechrnn.jobs.executors.work import TRIES, Chunk, Worker

DEPTH = 2  # chunks that a worker has, so that it never waits for the next one


@dataclass(frozen=True)
class Ready:
    """Tell that a worker has loaded."""


@dataclass(frozen=True)
class Done:
    """Carry the results of the chunk at this place, which took so many seconds."""

    place: int
    results: list[Any]
    seconds: float


@dataclass(frozen=True)
class Died:
    """Tell that a worker died.

    Attributes:
        places: of its chunks, which have to be done again.
        how: the beginning of a sentence.
        loading: it died before it was ready.
    """

    places: tuple[int, ...]
    how: str
    loading: bool


@dataclass(frozen=True)
class Refused:
    """Tell that a worker cannot work, and no other one could; a sentence for the user."""

    sentence: str


@dataclass(frozen=True)
class Failed:
    """Carry the traceback of a bug in a worker."""

    trace: str


Event = Ready | Done | Died | Refused | Failed


class WorkerHandle(Protocol):
    """Represent a worker in the driver: whether it has loaded, and its chunks by their place."""

    loaded: bool
    chunks: dict[int, Chunk]


WorkerT = TypeVar("WorkerT", bound=WorkerHandle)


def least_busy(workers: Iterable[WorkerT], suspect: bool) -> WorkerT | None:
    """Return the worker with the fewest chunks that may have another one; None where there is none.

    Args:
        workers: of a pool.
        suspect: the chunk has killed a worker before, and is done while no other chunk is with its worker.
    """
    most = 1 if suspect else DEPTH
    able = [
        worker
        for worker in workers
        if worker.loaded and len(worker.chunks) < most and not any(chunk.tries for chunk in worker.chunks.values())
    ]
    return min(able, key=lambda worker: len(worker.chunks), default=None)


class Pool(ABC, Generic[WorkerT]):
    """Hold the workers of one run; a subclass says where they are and how they are reached.

    Attributes:
        workers: that have been started and have not died.
    """

    workers: list[WorkerT]

    @property
    @abstractmethod
    def size(self) -> int:
        """Return how many workers there may be."""

    @abstractmethod
    def start(self, wanted: int) -> None:
        """Start workers until there are so many, but no more than `size`."""

    def can_submit(self, suspect: bool) -> bool:
        """Return whether a worker can take a chunk; see `least_busy`."""
        return least_busy(self.workers, suspect) is not None

    def submit(self, chunk: Chunk) -> None:
        """Send a chunk to the worker with the fewest."""
        worker = least_busy(self.workers, chunk.tries > 0)
        if worker is None:
            raise RuntimeError("no worker can take a chunk")
        worker.chunks[chunk.place] = chunk
        self.send(worker, chunk)

    @abstractmethod
    def send(self, worker: WorkerT, chunk: Chunk) -> None:
        """Send a chunk to a worker; one that has just died shows in `events`."""

    @abstractmethod
    def wait(self) -> None:
        """Wait until there are events."""

    @abstractmethod
    def events(self) -> list[Event]:
        """Return what has happened."""

    @abstractmethod
    def close(self) -> None:
        """End all workers at once."""


def run_pool(pool: Pool[Any], scheduler: Scheduler, stopped: Callable[[], bool]) -> Iterator[Any]:
    """Submit chunks and yield results until all is done; see `Executor.run`.

    Args:
        pool: of workers, closed at the end.
        scheduler: of the items.
        stopped: tells whether to submit no more.
    """
    interrupted = False
    deaths = 0  # of workers at the start, one after the other
    try:
        while True:
            if interrupted or stopped():
                scheduler.stop()
            pool.start(scheduler.look_ahead(pool.size) + len(scheduler.running))
            while pool.can_submit(bool(scheduler.retries)):
                chunk = scheduler.next(pool.size)
                if chunk is None:
                    break
                pool.submit(chunk)
            if not scheduler.running and not scheduler.look_ahead(pool.size):
                break
            try:
                pool.wait()
            except KeyboardInterrupt:
                if interrupted or stopped():
                    raise  # the second request to stop
                interrupted = True
                continue
            for event in pool.events():
                if isinstance(event, Done):
                    scheduler.done(event.place, event.results, event.seconds)
                elif isinstance(event, Ready):
                    deaths = 0
                elif isinstance(event, Died):
                    for place in event.places:
                        scheduler.died(place, event.how)
                    deaths += event.loading
                    if deaths >= TRIES:
                        raise UserError(
                            f"{event.how} while it loaded the model, {TRIES} times one after the other; take fewer "
                            "workers, or a machine with more memory."
                        )
                elif isinstance(event, Refused):
                    raise UserError(event.sentence)
                else:
                    raise RuntimeError(f"A worker failed:\n{event.trace}")
            yield from scheduler.ready()
        yield from scheduler.ready()
        if interrupted:
            raise KeyboardInterrupt
    finally:
        pool.close()


def serve(
    worker: Worker,
    chunks: queue.SimpleQueue[Chunk | None],
    send: Callable[[Done], None],
    ordered: bool,
) -> None:
    """Work on chunks until None comes, and send the results of each when the last one is there.

    Where results come in the order of the items, a waiting chunk is begun while the last items of the one before are
    still in progress, as continuous batching needs it.

    Args:
        worker: takes items and yields results.
        chunks: to work on.
        send: takes results.
        ordered: the worker yields results in the order of the items.
    """
    while (chunk := chunks.get()) is not None:
        began = time.monotonic()
        if not ordered:
            results = list(worker(chunk.items))
            send(Done(chunk.place, results, time.monotonic() - began))
            continue
        begun: deque[Chunk] = deque()
        results = []
        for result in worker(_items_from(chunk, chunks, begun)):
            results.append(result)
            if len(results) == len(begun[0].items):
                now = time.monotonic()
                send(Done(begun.popleft().place, results, now - began))
                began, results = now, []
        if begun:
            raise RuntimeError(f"a worker made {len(results)} results for {len(begun[0].items)} items")


def _items_from(chunk: Chunk, chunks: queue.SimpleQueue[Chunk | None], begun: deque[Chunk]) -> Iterable[Any]:
    """Yield the items of a chunk, and of those that wait when its last item is taken."""
    after: Chunk | None = chunk
    while after is not None:
        begun.append(after)
        yield from after.items
        try:
            after = chunks.get_nowait()
        except queue.Empty:
            return
    chunks.put(None)  # for `serve`
