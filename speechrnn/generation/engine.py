"""Continuous batching: rows are written side by side; where one ends, the next waiting one takes its place."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from torch import Tensor

from speechrnn.generation.detokenizer import Spelling
from speechrnn.generation.fixed_batches import Tiles, padded, primed
from speechrnn.generation.results import Prompt, Result
from speechrnn.generation.sampler import Sampler
from speechrnn.generation.sequence import Row

PRIMED = 256  # prompts read together, at least
AHEAD = 4096  # results that may wait for an earlier one, since they are given away in order


@dataclass
class Group:
    """The completions of one prompt while they are written."""

    prompt: Prompt
    rows: list[Row]

    @property
    def done(self) -> bool:
        """Whether all are written."""
        return all(row.finish_reason for row in self.rows)

    def result(self) -> Result:
        """The completions, in their order."""
        return Result(self.prompt.id, self.prompt.text, tuple(row.completion() for row in self.rows))


class Engine:
    """Writes texts by drawing tokens, or by taking the most probable ones.

    Attributes:
        written: tokens so far, for whoever watches.
    """

    def __init__(self, tiles: Tiles, spelling: Spelling, batch_size: int) -> None:
        """`batch_size`: most rows at a time; no text depends on it."""
        self.tiles = tiles
        self.spelling = spelling
        self.sampler = Sampler(tiles, spelling.unknown)
        self.states = tiles.model.start(batch_size)
        self.free = list(range(batch_size))  # places in `states`
        self.places: list[int] = []  # of the rows
        self.rows: list[Row] = []
        self.waiting: deque[tuple[Row, Tensor]] = deque()  # each with its state
        self.groups: deque[Group | Result] = deque()  # not given away yet, in order
        self.window = max(batch_size, PRIMED)
        self.written = 0

    def run(self, prompts: Iterable[Prompt | Result]) -> Iterator[Result]:
        """Completes prompts, of which only those at work are in memory; results come in the order of the prompts.

        What is a result already is given through in its place.
        """
        source = primed(self.tiles, prompts, self.window)
        while True:
            self.fill(source)
            if self.rows:
                self.step()
            elif not self.groups:
                return
            while self.groups and (isinstance(first := self.groups[0], Result) or first.done):
                self.groups.popleft()
                yield first if isinstance(first, Result) else first.result()

    def stream(self, prompt: Prompt) -> Iterator[str]:
        """Completes one prompt, and gives each piece of text away as it is written."""
        self.fill(primed(self.tiles, [prompt], 1))
        (row,) = self.rows
        while self.rows:
            shown = len(row.pieces)
            self.step()
            row.spell()
            yield "".join(row.pieces[shown:])
        self.groups.clear()

    def fill(self, source: Iterator[tuple[Prompt | Result, Tensor | None]]) -> None:
        """Gives the free places to rows that wait, and lets prompts in where none is waiting."""
        while self.free:
            if self.waiting:
                row, start = self.waiting.popleft()
                self.places.append(self.free.pop())
                self.rows.append(row)
                self.states[self.places[-1]] = start
                continue
            if len(self.groups) >= max(AHEAD, 2 * self.window):
                return
            item, state = next(source, (None, None))
            if isinstance(item, Prompt) and state is not None:
                rows = [Row.begin(item, self.spelling, number) for number in range(item.options.num_return_sequences)]
                self.waiting.extend((row, state) for row in rows)
                self.groups.append(Group(item, rows))
            elif isinstance(item, Result):
                self.groups.append(item)
            else:
                return

    def step(self) -> None:
        """Writes one token on each row."""
        rows = self.rows
        places = self.tiles.tensor(self.places)
        last = self.tiles.tensor([row.last for row in rows])
        outputs = self.states.new_empty(len(rows), self.tiles.model.recurrent[-1].network.hidden_size)

        def work(first: int, end: int, height: int) -> None:
            where = places[first:end]
            output, states = self.tiles.model.step(self.states[padded(where, height)], padded(last[first:end], height))
            self.states[where] = states[: end - first]
            outputs[first:end] = output[: end - first]

        self.tiles.each(work, len(rows))
        for row, token, log_prob in zip(rows, *self.sampler.choose(outputs, rows), strict=True):
            row.add(token, log_prob)
        self.written += len(rows)
        if any(row.finish_reason for row in rows):
            self.free += [place for row, place in zip(rows, self.places, strict=True) if row.finish_reason]
            self.places = [place for row, place in zip(rows, self.places, strict=True) if not row.finish_reason]
            self.rows = [row for row in rows if not row.finish_reason]
