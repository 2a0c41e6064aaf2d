"""Schedule items in chunks, and put their results in order."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from speechrnn.jobs.executors.work import TRIES, Chunk, Lost

CHUNK_SECONDS = 5.0  # work in a chunk, about
GROWTH = 4  # a chunk is at most so many times as long as one that was done
AHEAD = 4  # chunks a worker that may wait for an earlier one


class Scheduler:
    """Decide which items go out together, and collect their results.

    Chunks begin with one item, since the time of an item is unknown, and grow to `CHUNK_SECONDS` of work; near the end
    of the items they become shorter, so that all workers end together. The chunk of a dead worker goes out again: as it
    was, then item by item, so that at last only the item that kills its workers is lost.
    """

    def __init__(self, items: Iterable[Any], most: int, ordered: bool) -> None:
        """
        Args:
            items: of the job.
            most: items in a chunk.
            ordered: results are wanted in the order of the items.
        """
        self.source = iter(items)
        self.most = most
        self.ordered = ordered
        self.size = 1  # of a chunk
        self.ahead: deque[Any] = deque()  # items that were read, but not sent
        self.retries: deque[Chunk] = deque()  # chunks whose workers died
        self.place = 0  # of the next item
        self.yielded = 0  # results that were yielded, or the place of the next one where they are ordered
        self.results: dict[int, list[Any]] = {}  # results that wait, by the place of their chunk
        self.running: dict[int, Chunk] = {}  # by place

    def look_ahead(self, workers: int) -> int:
        """Read enough items to see their end in time; return how many items and retries wait to be sent."""
        self.ahead.extend(islice(self.source, max(0, 2 * workers * self.size - len(self.ahead))))
        return len(self.ahead) + len(self.retries)

    def next(self, workers: int) -> Chunk | None:
        """Return the next chunk for one of so many workers; None where there is none now."""
        if self.retries:
            return self._start(self.retries.popleft())
        if len(self.results) >= AHEAD * workers or not self.look_ahead(workers):
            return None
        size = min(self.size, math.ceil(len(self.ahead) / (2 * workers)))
        chunk = Chunk(self.place, tuple(self.ahead.popleft() for _ in range(size)))
        self.place += size
        return self._start(chunk)

    def _start(self, chunk: Chunk) -> Chunk:
        """Note that a chunk is sent to a worker."""
        self.running[chunk.place] = chunk
        return chunk

    def done(self, place: int, results: list[Any], seconds: float) -> None:
        """Take the results of a chunk, which took so many seconds."""
        chunk = self.running.pop(place)
        if len(results) != len(chunk.items):
            raise RuntimeError(f"a worker gave {len(results)} results for {len(chunk.items)} items")
        count = len(results)
        fitting = math.floor(min(count * CHUNK_SECONDS / max(seconds, 1e-6), GROWTH * count, self.most))
        self.size = max(1, fitting if seconds > CHUNK_SECONDS else max(fitting, self.size))
        self.results[place] = results

    def died(self, place: int, how: str) -> None:
        """Schedule a chunk again whose worker died; `how` is the beginning of a sentence that says why."""
        chunk = self.running.pop(place)
        tried = replace(chunk, tries=chunk.tries + 1)
        if tried.tries >= TRIES:
            reason = f"{how}, {TRIES} times; it was given up."
            self.results[chunk.place] = [Lost(item, reason) for item in chunk.items]
        elif tried.tries == TRIES - 1:
            singles = [Chunk(chunk.place + index, (item,), tried.tries) for index, item in enumerate(chunk.items)]
            self.retries.extend(singles)
        else:
            self.retries.append(tried)

    def ready(self) -> Iterator[Any]:
        """Yield the results that can be put out."""
        while self.results:
            place = self.yielded if self.ordered else next(iter(self.results))
            if place not in self.results:
                return
            results = self.results.pop(place)
            self.yielded += len(results)
            yield from results

    def stop(self) -> None:
        """Send no more items."""
        self.source = iter(())
        self.ahead.clear()
        self.retries.clear()
