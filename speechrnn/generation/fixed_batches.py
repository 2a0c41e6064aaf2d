"""Batches of few, fixed sizes, so that a text does not depend on the other texts that are generated with it.

A matrix product rounds differently at another batch size, and a text would differ with the batch it was generated in.
Here every row passes through batches of sizes that were seen to give the same bits on this machine, each batch in a
single thread (several threads would split a matrix by their number); threads take whole batches instead.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from speechrnn.generation.categorical import VECTOR
from speechrnn.generation.logits_processors import compute_logits
from speechrnn.generation.results import Prompt, Result
from speechrnn.nn.language import LanguageModel

ItemT = TypeVar("ItemT")
ValueT = TypeVar("ValueT")
SIZES = {"cpu": (128, 64, 32, 16), "cuda": (1024, 256, 64)}  # rows of a batch


class FixedBatches:
    """A model that runs on any number of rows in batches of fixed sizes.

    Attributes:
        sizes: rows of a batch, the largest first; the model gives the same bits at all of them.
        threads: batches that are worked on at a time.
    """

    def __init__(self, model: LanguageModel, sizes: Sequence[int] | None = None) -> None:
        """Choose the sizes: those of `sizes` (None: of `SIZES`) at which the model gives the same bits."""
        self.model = model
        self.device = model.start(1).device
        self.threads = torch.get_num_threads() if self.device.type == "cpu" else 1
        self.pool = ThreadPoolExecutor(self.threads) if self.threads > 1 else None
        candidates = tuple(sizes or SIZES.get(self.device.type, SIZES["cpu"]))
        with single_threaded():
            self.sizes = find_consistent_sizes(model, candidates)

    def split(self, rows: int, largest: int | None = None) -> list[tuple[int, int, int]]:
        """Split rows into batches.

        Args:
            rows: number of rows.
            largest: a size that is better not exceeded.

        Returns:
            First row, end and size of each batch; the last one may have fewer rows than its size.
        """
        share = min(-(-rows // self.threads), largest or rows)
        size = min((size for size in self.sizes if size >= share), default=self.sizes[0])
        batches = []
        for first in range(0, rows, size):
            end = min(first + size, rows)
            batches.append((first, end, min(size for size in self.sizes if size >= end - first)))
        return batches

    def for_each(self, work: Callable[[int, int, int], None], rows: int, largest: int | None = None) -> None:
        """Call `work(first, end, size)` for each batch of `split`, in the threads of the pool."""

        def run(batch: tuple[int, int, int]) -> None:
            with torch.inference_mode():  # which a thread does not inherit
                work(*batch)

        batches = self.split(rows, largest)
        with single_threaded():
            if self.pool is None or len(batches) == 1:
                for batch in batches:
                    run(batch)
            else:
                list(self.pool.map(run, batches))

    def step(self, states: Tensor, parents: np.ndarray, tokens: Sequence[int]) -> Tensor:
        """Read one token more.

        Args:
            states: (states, state_size).
            parents: (rows,) which state each row starts from.
            tokens: (rows,) the token that each row reads.

        Returns:
            (rows, state_size) the states after it.
        """
        after = states.new_empty(len(tokens), states.shape[1])
        index, read = self.index(parents), self.index(tokens)

        def work(first: int, end: int, size: int) -> None:
            rows = pad_index(index[first:end], size)
            after[first:end] = self.model.step(states[rows], pad_index(read[first:end], size))[1][: end - first]

        self.for_each(work, len(tokens))
        return after

    def index(self, values: Sequence[int] | np.ndarray) -> Tensor:
        """Return numbers as an int64 tensor on the model's device."""
        return torch.as_tensor(np.asarray(values, dtype=np.int64)).to(self.device)

    @torch.inference_mode()
    def prefill(self, texts: Sequence[Sequence[int]]) -> Tensor:
        """Read texts from the start state, side by side, token by token; what several begin with is read once.

        Args:
            texts: indices of each text.

        Returns:
            (texts, state_size) the state after each text.
        """
        order = sorted(range(len(texts)), key=lambda number: tuple(texts[number]))
        ordered = [texts[number] for number in order]
        lengths = np.array([len(text) for text in ordered], dtype=np.int64)
        # Neighbours in the order share the longest prefixes.
        shared: np.ndarray = np.array([0, *map(shared_prefix_length, ordered, ordered[1:])], dtype=np.int64)
        shared[:1] = -1
        result = self.model.start(len(texts))
        states = self.model.start(1)
        place: np.ndarray = np.zeros(len(texts), dtype=np.int64)  # row in `states` that each text has come to
        for depth in range(int(lengths.max(initial=0))):
            active = np.flatnonzero(lengths > depth)
            new = shared[active] <= depth  # not read yet by the text before it
            first = active[new]
            states = self.step(states, place[first], [ordered[number][depth] for number in first])
            place[active] = np.cumsum(new) - 1
            ended = active[lengths[active] == depth + 1]
            if len(ended):
                result[self.index([order[number] for number in ended])] = states[self.index(place[ended])]
        return result


def prefill_prompts(
    batches: FixedBatches, items: Iterable[Prompt | Result], window: int
) -> Iterator[tuple[Prompt | Result, Tensor | None]]:
    """Yield prompts with the state after their context, all but the last token; results pass as they are.

    `window` items are taken and read at a time, when the first of them is asked for.
    """
    source = iter(items)
    while taken := list(islice(source, window)):
        prompts = [item for item in taken if isinstance(item, Prompt)]
        states = iter(each_on_failure(lambda some: list(batches.prefill([prompt.context for prompt in some])), prompts))
        for item in taken:
            state = next(states) if isinstance(item, Prompt) else None
            if isinstance(item, Prompt) and isinstance(state, Exception):
                yield Result.from_error(item, state), None
            else:
                yield item, cast(Tensor | None, state)


def each_on_failure(
    work: Callable[[Sequence[ItemT]], Sequence[ValueT]], items: Sequence[ItemT]
) -> Sequence[ValueT | Exception]:
    """Compute a value of each item, all together; where that raises, each by itself, and the exception is its value.

    Raises:
        Exception: memory is exhausted, or several items all fail, which is then no item's fault.
    """
    try:
        return work(items) if items else []
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if len(items) == 1:
            return [error]
        values = [each_on_failure(work, [item])[0] for item in items]
        if all(isinstance(value, Exception) for value in values):
            raise
        return values


def pad_index(index: Tensor, size: int) -> Tensor:
    """Repeat the first of (rows,) numbers at the end until there are `size`."""
    return torch.cat([index, index[:1].expand(size - len(index))]) if len(index) < size else index


def shared_prefix_length(first: Sequence[int], second: Sequence[int]) -> int:
    """Return the number of tokens that two texts both begin with.

    >>> shared_prefix_length([1, 2, 3], [1, 2, 4, 5])
    2
    """
    return next(
        (number for number, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1]),
        min(len(first), len(second)),
    )


@contextlib.contextmanager
def single_threaded() -> Iterator[None]:
    """Let torch use one thread for an operation, and afterwards as many as before."""
    threads = torch.get_num_threads()
    if threads > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if threads > 1:
            torch.set_num_threads(threads)


@torch.inference_mode()
def find_consistent_sizes(model: LanguageModel, sizes: Sequence[int]) -> tuple[int, ...]:
    """Return the batch sizes at which a row's numbers depend neither on its place nor on the size, the largest first.

    Where the largest size itself fails, the next ones are tried; (1,) where all fail.
    """
    units = [layer.network.hidden_size for layer in model.recurrent]
    full = [size for size in sorted(sizes, reverse=True) if all(size * width % VECTOR == 0 for width in units)]
    for number, largest in enumerate(full):
        generator = torch.Generator().manual_seed(0)
        states = torch.randn(largest, model.state_size, generator=generator).to(model.start(1).device)
        tokens = torch.randint(model.vocabulary, (largest,), generator=generator).to(states.device)
        expected = _step_outputs(model, states, tokens, size=largest)

        def agrees(size: int) -> bool:
            return torch.equal(_step_outputs(model, states.flip(0), tokens.flip(0), size=size).flip(0), expected)  # noqa: B023

        if agrees(largest):
            return (largest, *filter(agrees, full[number + 1 :]))
    return (1,)


def _step_outputs(model: LanguageModel, states: Tensor, tokens: Tensor, size: int) -> Tensor:
    """Compute logits and states of one step in batches of `size`: (rows, vocabulary and state_size)."""
    parts = []
    for batch_states, batch_tokens in zip(states.split(size), tokens.split(size), strict=True):
        outputs, after = model.step(batch_states, batch_tokens)
        parts.append(torch.cat([compute_logits(model, outputs.contiguous()), after], 1))
    return torch.cat(parts)
