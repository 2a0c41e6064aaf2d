"""Rows of work through the model in matrices of few, fixed heights.

A matrix product rounds differently at another height, and a text would differ with the batch it was written in. Here
every row passes through matrices of heights that were seen to give the same bits on this machine, each one in a single
thread (several threads would cut a matrix where it suits their number); threads take whole matrices instead.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from speechrnn.generation.logits_processors import raw_scores
from speechrnn.generation.results import Prompt, Result
from speechrnn.nn.language import LanguageModel

HEIGHTS = {"cpu": (128, 64, 32, 16), "cuda": (1024, 256, 64)}  # rows of a matrix
VECTORS = 32  # numbers that torch's loops take at a time; those left over at the end are rounded by other code


class Tiles:
    """A model, and the heights and threads with which it works.

    Attributes:
        heights: rows of a matrix, the largest first; all give the same bits.
    """

    def __init__(self, model: LanguageModel, heights: Sequence[int] | None = None) -> None:
        """`heights`: None for those known to be good; they are tried out, and only those that agree are used."""
        self.model = model
        self.device = model.start(1).device
        self.threads = torch.get_num_threads() if self.device.type == "cpu" else 1
        self.pool = ThreadPoolExecutor(self.threads) if self.threads > 1 else None
        candidates = tuple(heights or HEIGHTS.get(self.device.type, HEIGHTS["cpu"]))
        with alone():
            self.heights = agreeing(model, candidates)

    def cut(self, rows: int, most: int | None = None) -> list[tuple[int, int, int]]:
        """Which rows go together: (first, end, height) of each matrix, the last one perhaps not full.

        `most`: a height that is better not exceeded.
        """
        share = min(-(-rows // self.threads), most or rows)
        height = min((height for height in self.heights if height >= share), default=self.heights[0])
        tiles = []
        for first in range(0, rows, height):
            end = min(first + height, rows)
            tiles.append((first, end, min(size for size in self.heights if size >= end - first)))
        return tiles

    def each(self, work: Callable[[int, int, int], None], rows: int, most: int | None = None) -> None:
        """Calls `work(first, end, height)` for each matrix that the rows make; see `cut`."""

        def quietly(tile: tuple[int, int, int]) -> None:
            with torch.inference_mode():  # which a thread does not inherit
                work(*tile)

        tiles = self.cut(rows, most)
        with alone():
            if self.pool is None or len(tiles) == 1:
                for tile in tiles:
                    quietly(tile)
            else:
                list(self.pool.map(quietly, tiles))

    def read(self, states: Tensor, parents: np.ndarray, tokens: Sequence[int]) -> Tensor:
        """One token more: for each row the state it comes from, and its token; -> (rows, state_size)."""
        after = states.new_empty(len(tokens), states.shape[1])
        index, read = self.tensor(parents), self.tensor(tokens)

        def work(first: int, end: int, height: int) -> None:
            rows = padded(index[first:end], height)
            after[first:end] = self.model.step(states[rows], padded(read[first:end], height))[1][: end - first]

        self.each(work, len(tokens))
        return after

    def tensor(self, values: Sequence[int] | np.ndarray) -> Tensor:
        """(rows,) int64 on the model's device."""
        return torch.as_tensor(np.asarray(values, dtype=np.int64)).to(self.device)

    @torch.inference_mode()
    def prime(self, texts: Sequence[Sequence[int]]) -> Tensor:
        """The state in which each text leaves the model, read from the start: (texts, state_size).

        All texts are read side by side, token by token. Where several begin alike, that beginning is read once.
        """
        order = sorted(range(len(texts)), key=lambda number: tuple(texts[number]))
        ordered = [texts[number] for number in order]
        lengths = np.array([len(text) for text in ordered], dtype=np.int64)
        # Neighbours in the order share the longest beginnings.
        shared: np.ndarray = np.array([0, *map(common, ordered, ordered[1:])], dtype=np.int64)
        shared[:1] = -1
        result = self.model.start(len(texts))
        states = self.model.start(1)
        place: np.ndarray = np.zeros(len(texts), dtype=np.int64)  # row of the state that each text has come to
        for depth in range(int(lengths.max(initial=0))):
            going = np.flatnonzero(lengths > depth)
            new = shared[going] <= depth  # not read yet by the text before it
            first = going[new]
            states = self.read(states, place[first], [ordered[number][depth] for number in first])
            place[going] = np.cumsum(new) - 1
            ended = going[lengths[going] == depth + 1]
            if len(ended):
                result[self.tensor([order[number] for number in ended])] = states[self.tensor(place[ended])]
        return result


def primed(
    tiles: Tiles, items: Iterable[Prompt | Result], window: int
) -> Iterator[tuple[Prompt | Result, Tensor | None]]:
    """Prompts with the state in which they leave the model, all but their last token read; results as they are.

    `window` items are taken and read at a time, when the first of them is asked for.
    """
    source = iter(items)
    while taken := list(islice(source, window)):
        prompts = [item for item in taken if isinstance(item, Prompt)]
        states = iter(tiles.prime([prompt.before for prompt in prompts]))
        for item in taken:
            yield item, next(states) if isinstance(item, Prompt) else None


def padded(index: Tensor, height: int) -> Tensor:
    """(rows,) -> (height,); what is added repeats the first."""
    return torch.cat([index, index[:1].expand(height - len(index))]) if len(index) < height else index


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two texts begin with alike."""
    return next(
        (number for number, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]),
        min(len(one), len(other)),
    )


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """torch with one thread an operation, and afterwards with as many as before."""
    threads = torch.get_num_threads()
    if threads > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if threads > 1:
            torch.set_num_threads(threads)


@torch.inference_mode()
def agreeing(model: LanguageModel, heights: Sequence[int]) -> tuple[int, ...]:
    """Those of the heights, the largest first, at which a row's numbers depend neither on its place nor on the height.

    Where the largest height itself fails, the next ones are tried; a single row is always alike.
    """
    units = [layer.network.hidden_size for layer in model.recurrent]
    full = [height for height in sorted(heights, reverse=True) if all(height * size % VECTORS == 0 for size in units)]
    for number, largest in enumerate(full):
        generator = torch.Generator().manual_seed(0)
        states = torch.randn(largest, model.state_size, generator=generator).to(model.start(1).device)
        tokens = torch.randint(model.vocabulary, (largest,), generator=generator).to(states.device)
        wanted = numbers(model, states, tokens, largest)

        def agrees(height: int) -> bool:
            return torch.equal(numbers(model, states.flip(0), tokens.flip(0), height).flip(0), wanted)  # noqa: B023

        if agrees(largest):
            return (largest, *filter(agrees, full[number + 1 :]))
    return (1,)


def numbers(model: LanguageModel, states: Tensor, tokens: Tensor, height: int) -> Tensor:
    """All that one step gives, from matrices of this height: (rows, vocabulary and state_size)."""
    parts = []
    for some in zip(states.split(height), tokens.split(height), strict=True):
        outputs, after = model.step(*some)
        parts.append(torch.cat([raw_scores(model, outputs.contiguous()), after], 1))
    return torch.cat(parts)
