"""Tests of the pool: who gets a chunk, what happens with those of a dead worker, and how a worker serves chunks."""

from __future__ import annotations

import queue
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from speechrnn.core.errors import UserError
from speechrnn.jobs.executors.pool import (
    DEPTH,
    Died,
    Done,
    Event,
    Failed,
    Pool,
    Ready,
    Refused,
    least_busy,
    run_pool,
    serve,
)
from speechrnn.jobs.executors.scheduler import Scheduler
from speechrnn.jobs.executors.work import TRIES, Chunk, Lost


@dataclass
class Handle:
    """A worker in this process."""

    loaded: bool = True
    chunks: dict[int, Chunk] = field(default_factory=dict)


class HerePool(Pool[Handle]):
    """A pool of workers that square numbers at once.

    Attributes:
        deadly: numbers at which a worker dies.
        first: events of the first call.
    """

    def __init__(self, size: int = 2, deadly: Iterable[int] = (), first: Iterable[Event] = ()) -> None:
        self.workers: list[Handle] = []
        self.deadly, self.first = {*deadly}, [*first]
        self.most, self.closed, self.interrupts = size, False, 0

    @property
    def size(self) -> int:
        return self.most

    def start(self, wanted: int) -> None:
        while len(self.workers) < min(wanted, self.size):
            self.workers.append(Handle())

    def send(self, worker: Handle, chunk: Chunk) -> None:
        assert worker.chunks[chunk.place] is chunk

    def wait(self) -> None:
        if self.interrupts:
            self.interrupts -= 1
            raise KeyboardInterrupt

    def events(self) -> list[Event]:
        found, self.first = self.first, []
        for worker in list(self.workers):
            if any(item in self.deadly for chunk in worker.chunks.values() for item in chunk.items):
                self.workers.remove(worker)
                found.append(Died(tuple(worker.chunks), "A worker died", loading=False))
                continue
            for place, chunk in list(worker.chunks.items()):
                del worker.chunks[place]
                found.append(Done(place, [item * item for item in chunk.items], 0.01))
        return found

    def close(self) -> None:
        self.closed = True


def run(pool: HerePool, count: int) -> list[Any]:
    return list(run_pool(pool, Scheduler(range(count), 5, ordered=True), lambda: False))


def test_results_come_in_order_and_the_pool_is_closed() -> None:
    pool = HerePool()
    assert run(pool, 30) == [number * number for number in range(30)] and pool.closed


def test_an_item_at_which_workers_die_is_lost_alone() -> None:
    results = run(HerePool(deadly=[7]), 20)
    assert [number for number, result in enumerate(results) if isinstance(result, Lost)] == [7]


def test_workers_that_die_while_they_load_end_the_run() -> None:
    pool = HerePool(first=[Died((), "A worker was killed", loading=True)] * TRIES)
    with pytest.raises(UserError, match="while it loaded the model"):
        run(pool, 3)
    assert pool.closed


def test_a_worker_that_loads_makes_the_deaths_before_it_forgotten() -> None:
    died = Died((), "A worker was killed", loading=True)
    assert run(HerePool(first=[died, died, Ready(), died, died]), 3) == [0, 1, 4]


def test_a_refusal_is_a_sentence_and_a_bug_a_traceback() -> None:
    with pytest.raises(UserError, match="no such model"):
        run(HerePool(first=[Refused("There is no such model.")]), 3)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        run(HerePool(first=[Failed("ZeroDivisionError: a bug")]), 3)


def test_after_an_interruption_begun_chunks_are_finished() -> None:
    pool, results = HerePool(size=1), []
    pool.interrupts = 1
    with pytest.raises(KeyboardInterrupt):
        for result in run_pool(pool, Scheduler(range(1000), 5, ordered=True), lambda: False):
            results.append(result)
    assert 0 < len(results) < 1000 and pool.closed


def test_the_worker_with_the_fewest_chunks_gets_the_next() -> None:
    chunk, suspect = Chunk(0, (1,)), Chunk(1, (2,), tries=1)
    idle, busy, full = Handle(), Handle(chunks={0: chunk}), Handle(chunks=dict.fromkeys(range(DEPTH), chunk))
    assert least_busy([full, busy, idle], suspect=False) is idle
    assert least_busy([full, busy], suspect=False) is busy
    assert least_busy([full, busy], suspect=True) is None  # a chunk that has killed is done alone
    assert least_busy([Handle(chunks={1: suspect})], suspect=False) is None
    assert least_busy([Handle(loaded=False)], suspect=False) is None


def test_a_pool_without_a_free_worker_takes_no_chunk() -> None:
    pool = HerePool()
    assert not pool.can_submit(False)
    with pytest.raises(RuntimeError, match="no worker"):
        pool.submit(Chunk(0, (1,)))


@pytest.mark.parametrize("ordered", [False, True])
def test_a_worker_serves_chunk_after_chunk(ordered: bool) -> None:
    chunks: queue.SimpleQueue[Chunk | None] = queue.SimpleQueue()
    for chunk in (Chunk(0, (1, 2)), Chunk(2, (3,)), None):
        chunks.put(chunk)
    sent: list[Done] = []
    serve(lambda items: (-item for item in items), chunks, sent.append, ordered=ordered)
    assert [(done.place, done.results) for done in sent] == [(0, [-1, -2]), (2, [-3])]


def test_an_ordered_worker_takes_the_next_chunk_before_the_last_result() -> None:
    chunks: queue.SimpleQueue[Chunk | None] = queue.SimpleQueue()
    for chunk in (Chunk(0, (1,)), Chunk(1, (2,)), None):
        chunks.put(chunk)

    def late(items: Iterable[int]) -> Iterator[int]:
        waiting: list[int] = []
        for item in items:
            waiting.append(item)
            if len(waiting) == 2:
                yield waiting.pop(0)
        yield from waiting

    sent: list[Done] = []
    serve(late, chunks, sent.append, ordered=True)
    assert [done.results for done in sent] == [[1], [2]]


def test_a_worker_that_makes_too_few_results_is_a_bug() -> None:
    chunks: queue.SimpleQueue[Chunk | None] = queue.SimpleQueue()
    chunks.put(Chunk(0, (1, 2)))
    with pytest.raises(RuntimeError, match="1 results for 2 items"):
        serve(lambda items: iter([next(iter(items))]), chunks, lambda done: None, ordered=True)
