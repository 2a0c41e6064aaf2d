"""Tests of the scheduler, without any worker."""

from __future__ import annotations

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from speechrnn.jobs.executors.scheduler import CHUNK_SECONDS, Scheduler
from speechrnn.jobs.executors.work import Chunk, Lost


@given(
    st.integers(0, 200),
    st.integers(1, 20),
    st.integers(1, 5),
    st.booleans(),
    st.sets(st.integers(0, 199), max_size=3),
    st.randoms(use_true_random=False),
)
def test_each_item_has_one_result_whoever_dies(
    count: int, most: int, workers: int, ordered: bool, deadly: set[int], chance: random.Random
) -> None:
    scheduler = Scheduler(range(count), most, ordered)
    out: list[Chunk] = []
    found: list[object] = []
    while True:
        while len(out) < workers and (chunk := scheduler.next(workers)) is not None:
            assert 1 <= len(chunk.items) <= most
            out.append(chunk)
        if not out:
            break
        chunk = out.pop(chance.randrange(len(out)))
        if deadly & {*chunk.items}:
            scheduler.died(chunk.place, "Its worker fell")
        else:
            scheduler.done(chunk.place, [-item for item in chunk.items], chance.choice([0.0, 1.0, 20.0]))
        found += scheduler.ready()
    lost = [result.item for result in found if isinstance(result, Lost)]
    assert sorted(lost) == sorted(deadly & {*range(count)})
    numbers = [result.item if isinstance(result, Lost) else -result for result in found]  # type: ignore[operator]
    assert (numbers if ordered else sorted(numbers)) == [*range(count)]


def test_chunks_grow_to_what_fits_the_time_and_shrink_at_the_end() -> None:
    scheduler = Scheduler(range(3000), 100, ordered=True)
    sizes = []
    while (chunk := scheduler.next(2)) is not None:
        sizes.append(len(chunk.items))
        scheduler.done(chunk.place, [*chunk.items], len(chunk.items) * CHUNK_SECONDS / 50)
        assert [*scheduler.ready()] == [*chunk.items]
    assert sizes[:5] == [1, 4, 16, 50, 50]
    assert sizes[-1] == 1 and sizes[-10:] == sorted(sizes[-10:], reverse=True)


def test_items_without_end_are_read_as_they_are_needed() -> None:
    read = itertools.count()
    scheduler = Scheduler(read, 10, ordered=True)
    out: list[Chunk] = []
    while (chunk := scheduler.next(3)) is not None and len(out) < 100:
        out.append(chunk)
        if len(out) > 1:  # the first one hangs, so that nothing can be given away
            scheduler.done(chunk.place, [*chunk.items], 0.0)
            assert [*scheduler.ready()] == []
    assert len(out) < 20 and next(read) < 500


def test_an_item_takes_no_more_than_three_workers_with_it() -> None:
    scheduler = Scheduler("ab", 2, ordered=False)
    scheduler.size = 8
    given = []
    while (chunk := scheduler.next(1)) is not None:
        given.append("".join(chunk.items))
        if "a" in chunk.items:
            scheduler.died(chunk.place, "It fell")
        else:
            scheduler.done(chunk.place, [*chunk.items], 1.0)
    assert given.count("a") <= 3 and sum("a" in result for result in given) == 3
    assert {*scheduler.ready()} == {Lost("a", "It fell, 3 times; it was given up."), "b"}
