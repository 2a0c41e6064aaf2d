"""Workers that get chunks handed out, wherever they are."""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from speechrnn.core.errors import UserError
from speechrnn.jobs.executors.ledger import Ledger
from speechrnn.jobs.executors.work import TRIES, Chunk, Worker

DEPTH = 2  # chunks that a worker has, so that it never waits for the next one


@dataclass(frozen=True)
class Ready:
    """A worker has loaded what it needs."""


@dataclass(frozen=True)
class Done:
    """A worker has done the chunk of this place, in so many seconds."""

    place: int
    results: list[Any]
    seconds: float


@dataclass(frozen=True)
class Died:
    """A worker is gone, and the chunks of these places have to be done again.

    `how` is the beginning of a sentence; `loading`: it died before it was ready.
    """

    places: tuple[int, ...]
    how: str
    loading: bool


@dataclass(frozen=True)
class Refused:
    """A worker cannot work, and no other one could; a sentence for the user."""

    sentence: str


@dataclass(frozen=True)
class Failed:
    """A worker met a bug of ours; its traceback."""

    trace: str


Event = Ready | Done | Died | Refused | Failed


class Member(Protocol):
    """A worker as the driver knows it: whether it is ready, and what it has to do, by place."""

    loaded: bool
    chunks: dict[int, Chunk]


MemberT = TypeVar("MemberT", bound=Member)


def least_busy(members: Iterable[MemberT], suspect: bool) -> MemberT | None:
    """The worker with the least to do that may have another chunk; a chunk that has killed a worker is done alone."""
    most = 1 if suspect else DEPTH
    able = [
        member
        for member in members
        if member.loaded and len(member.chunks) < most and not any(chunk.tries for chunk in member.chunks.values())
    ]
    return min(able, key=lambda member: len(member.chunks), default=None)


class Crew(Protocol):
    """The workers of one run."""

    @property
    def size(self) -> int:
        """How many workers there may be."""
        ...

    def hire(self, wanted: int) -> None:
        """Sees to it that there are so many workers, but no more than `size`."""
        ...

    def has_room(self, suspect: bool) -> bool:
        """Whether a worker can take a chunk; one that has killed a worker (`suspect`) is done alone."""
        ...

    def give(self, chunk: Chunk) -> None:
        """Hands a chunk to the worker with the least to do."""
        ...

    def wait(self) -> None:
        """Until something has happened."""
        ...

    def events(self) -> list[Event]:
        """What has happened."""
        ...

    def close(self) -> None:
        """Ends all workers, whatever they are at."""
        ...


def work(crew: Crew, ledger: Ledger, stopped: Callable[[], bool]) -> Iterator[Any]:
    """Hands out chunks and gives away results, until all is done; see `Executor.run`."""
    interrupted = False
    deaths = 0  # of workers at the start, one after the other
    try:
        while True:
            if interrupted or stopped():
                ledger.stop()
            crew.hire(ledger.look_ahead(crew.size) + len(ledger.out))
            while crew.has_room(bool(ledger.again)):
                chunk = ledger.next(crew.size)
                if chunk is None:
                    break
                crew.give(chunk)
            if not ledger.out and not ledger.look_ahead(crew.size):
                break
            try:
                crew.wait()
            except KeyboardInterrupt:
                if interrupted or stopped():
                    raise  # asked for the second time
                interrupted = True
                continue
            for event in crew.events():
                if isinstance(event, Done):
                    ledger.done(event.place, event.results, event.seconds)
                elif isinstance(event, Ready):
                    deaths = 0
                elif isinstance(event, Died):
                    for place in event.places:
                        ledger.died(place, event.how)
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
            yield from ledger.ready()
        yield from ledger.ready()
        if interrupted:
            raise KeyboardInterrupt
    finally:
        crew.close()


def serve(
    worker: Worker,
    chunks: queue.SimpleQueue[Chunk | None],
    give: Callable[[Done], None],
    ordered: bool,
) -> None:
    """Works on chunks until None comes; each one's results are given away when the last is there.

    Where results come in the order of the items, a chunk that waits is begun while the last items of the one before
    are still at work, as continuous batching wants it.
    """
    while (chunk := chunks.get()) is not None:
        began = time.monotonic()
        if not ordered:
            results = list(worker(chunk.items))
            give(Done(chunk.place, results, time.monotonic() - began))
            continue
        begun: deque[Chunk] = deque()
        results = []
        for result in worker(following(chunk, chunks, begun)):
            results.append(result)
            if len(results) == len(begun[0].items):
                now = time.monotonic()
                give(Done(begun.popleft().place, results, now - began))
                began, results = now, []
        if begun:
            raise RuntimeError(f"a worker gave {len(results)} results for {len(begun[0].items)} items")


def following(chunk: Chunk, chunks: queue.SimpleQueue[Chunk | None], begun: deque[Chunk]) -> Iterable[Any]:
    """The items of a chunk, and of those that wait when its last one is taken."""
    after: Chunk | None = chunk
    while after is not None:
        begun.append(after)
        yield from after.items
        try:
            after = chunks.get_nowait()
        except queue.Empty:
            return
    chunks.put(None)  # for `serve`
