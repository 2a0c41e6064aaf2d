"""Who has what: items on their way out in chunks, and results on their way back in order."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from speechrnn.jobs.executors.work import TRIES, Chunk, Lost

CHUNK_SECONDS = 5.0  # work that is handed out at once, about
GROWTH = 4  # a chunk is at most so many times as long as one that was done
AHEAD = 4  # chunks a worker that may wait for an earlier one


class Ledger:
    """The books of one run.

    Chunks begin with one item, since nothing is known about how long that takes, and become as long as a worker has to
    do for `CHUNK_SECONDS`; where the end of the items is in sight they become shorter, so that all workers end
    together. What a dead worker had goes out again: as it was, then item by item, so that at last only the item that
    kills its workers is given up.
    """

    def __init__(self, items: Iterable[Any], most: int, ordered: bool) -> None:
        """`most`: items of a chunk."""
        self.source = iter(items)
        self.most = most
        self.ordered = ordered
        self.size = 1  # of a chunk
        self.ahead: deque[Any] = deque()  # items that were read, but not handed out
        self.again: deque[Chunk] = deque()  # whose workers died
        self.place = 0  # of the next item
        self.given = 0  # results that were given away, or place of the next one where they are ordered
        self.back: dict[int, list[Any]] = {}  # results that wait, by the place of their chunk
        self.out: dict[int, Chunk] = {}  # chunks at work, by their place

    def look_ahead(self, workers: int) -> int:
        """Reads so many items that the end is seen in time; returns how many wait to be handed out."""
        self.ahead.extend(islice(self.source, max(0, 2 * workers * self.size - len(self.ahead))))
        return len(self.ahead) + len(self.again)

    def next(self, workers: int) -> Chunk | None:
        """The next chunk for one of so many workers; None where there is none now."""
        if self.again:
            return self.sign(self.again.popleft())
        if len(self.back) >= AHEAD * workers or not self.look_ahead(workers):
            return None
        size = min(self.size, math.ceil(len(self.ahead) / (2 * workers)))
        chunk = Chunk(self.place, tuple(self.ahead.popleft() for _ in range(size)))
        self.place += size
        return self.sign(chunk)

    def sign(self, chunk: Chunk) -> Chunk:
        """Books a chunk that goes out."""
        self.out[chunk.place] = chunk
        return chunk

    def done(self, place: int, results: list[Any], seconds: float) -> None:
        """Books results that came back."""
        chunk = self.out.pop(place)
        if len(results) != len(chunk.items):
            raise RuntimeError(f"a worker gave {len(results)} results for {len(chunk.items)} items")
        count = len(results)
        fitting = math.floor(min(count * CHUNK_SECONDS / max(seconds, 1e-6), GROWTH * count, self.most))
        self.size = max(1, fitting if seconds > CHUNK_SECONDS else max(fitting, self.size))
        self.back[place] = results

    def died(self, place: int, how: str) -> None:
        """Books a chunk whose worker died; `how` is the beginning of a sentence that says of what."""
        chunk = self.out.pop(place)
        tried = replace(chunk, tries=chunk.tries + 1)
        if tried.tries >= TRIES:
            reason = f"{how}, {TRIES} times; it was given up."
            self.back[chunk.place] = [Lost(item, reason) for item in chunk.items]
        elif tried.tries == TRIES - 1:
            singles = [Chunk(chunk.place + index, (item,), tried.tries) for index, item in enumerate(chunk.items)]
            self.again.extend(singles)
        else:
            self.again.append(tried)

    def ready(self) -> Iterator[Any]:
        """The results that can be given away."""
        while self.back:
            place = self.given if self.ordered else next(iter(self.back))
            if place not in self.back:
                return
            results = self.back.pop(place)
            self.given += len(results)
            yield from results

    def stop(self) -> None:
        """No more is handed out."""
        self.source = iter(())
        self.ahead.clear()
        self.again.clear()
