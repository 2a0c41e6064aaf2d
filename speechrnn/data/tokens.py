"""Token files, and the batches that truncated back-propagation through time takes from them.

A text is its lines, each followed by 0, the end of line; it begins as if a 0 stood before it. A token file keeps it as
one long row of indices, which is mapped into memory and never read whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write

_MAGIC = b"speechrnn tokens 1 "
_HEADER = 256  # bytes: the magic, then JSON, then spaces and a line end; the tokens follow


class Block(NamedTuple):
    """Lines of a text as indices, with their character count."""

    ids: Sequence[int] | np.ndarray  # with the 0 of each line
    characters: int  # of the text that they stand for, line ends included
    document: bool = False  # whether a document begins with them


@dataclass(frozen=True)
class TokenFile:
    """A text as indices.

    >>> import tempfile
    >>> file = write_tokens(Path(tempfile.mkdtemp()) / "text.tokens", [Block([1, 2, 0, 3, 0], 7)], vocabulary=4)
    >>> list(file.lines())
    [[1, 2], [3]]

    Attributes:
        tokens: (length,) uint16, or uint32 where the vocabulary is larger; of a file, mapped into memory.
        documents: (documents,) int64, where in `tokens` each document begins, from 0 up; empty for an empty text.
        characters: of the text that the tokens stand for, line ends included.
    """

    tokens: np.ndarray
    documents: np.ndarray
    characters: int

    @classmethod
    def open(cls, path: str | Path) -> TokenFile:
        """Map a file of `write_tokens` into memory. UserError where it is missing or damaged."""
        path = Path(path)
        try:
            with path.open("rb") as file:
                header = file.read(_HEADER)
                if not header.startswith(_MAGIC):
                    raise ValueError("it does not begin as a token file does")
                fields = json.loads(header[len(_MAGIC) :])
                tokens, documents, width, characters = _sizes(fields)
                file.seek(_HEADER + tokens * width)
                starts = np.frombuffer(file.read(), "<i8")
                if len(starts) != documents:
                    raise ValueError("it is cut short")
                if documents and not (starts.min() >= 0 and starts.max() <= tokens and (np.diff(starts) > 0).all()):
                    raise ValueError("its documents begin outside the text")
            shape, dtype = (tokens,), f"<u{width}"
            mapped = np.memmap(path, dtype, "r", _HEADER, shape) if tokens else np.zeros(shape, dtype)
        except OSError as error:
            raise UserError(f"Cannot read the token file {path}: {error.strerror or error}.") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UserError(
                f"The token file {path} is damaged ({error}); remove it and prepare the text anew."
            ) from error
        return cls(mapped, starts, characters)

    def __len__(self) -> int:
        """Return the number of tokens, line ends included."""
        return len(self.tokens)

    def lines(self) -> Iterator[list[int]]:
        """Return the tokens of each line, without its end."""
        start = 0
        for end in np.flatnonzero(self.tokens == 0).tolist():
            yield self.tokens[start:end].tolist()
            start = end + 1
        if start < len(self):  # the text ends within a line
            yield self.tokens[start:].tolist()


def _sizes(fields: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """Return tokens, documents, bytes a token and characters of a header. ValueError where one is no such number."""
    sizes = fields["tokens"], fields["documents"], fields["bytes"], fields["characters"]
    if not all(type(size) is int and 0 <= size < 2**60 for size in sizes) or sizes[2] not in (2, 4):
        raise ValueError("a size in its header is wrong")
    return sizes


def write_tokens(path: str | Path, blocks: Iterable[Block], vocabulary: int) -> TokenFile:
    """Write a token file as the blocks come, in constant memory but for 8 bytes a document; whole or not at all.

    Args:
        path: the file; its folder is made.
        blocks: the text in order; its first token begins a document in any case. Blank lines alone are no document:
            they belong to the next.
        vocabulary: the indices are below it.

    Raises:
        UserError: the file cannot be written.
    """
    dtype = np.dtype("<u2" if vocabulary <= 2**16 else "<u4")
    length = characters = 0
    documents: list[int] = []
    blank = False  # nothing but line ends since the last document began
    with atomic_write(path, "wb") as file:
        file.write(b" " * _HEADER)
        for block in blocks:
            ids = np.asarray(block.ids, dtype)
            if len(ids) and (not documents or (block.document and not blank)):
                documents.append(length)
                blank = True
            blank = blank and not ids.any()
            file.write(ids.tobytes())
            length += len(ids)
            characters += block.characters
        file.write(np.asarray(documents, "<i8").tobytes())
        fields = {"tokens": length, "documents": len(documents), "bytes": dtype.itemsize, "characters": characters}
        file.seek(0)
        file.write((_MAGIC + json.dumps(fields).encode()).ljust(_HEADER - 1) + b"\n")
    return TokenFile.open(path)


@dataclass(frozen=True)
class TokenBatch:
    """One step of truncated back-propagation for a batch of rows.

    Attributes:
        inputs: (length, batch) int64, the token before each target; 0 where there is no target.
        targets: (length, batch) int64, -1 where there is nothing to predict.
        fresh: (batch,) bool, the rows that begin anew: their state is the start state, not what the last batch left.
    """

    inputs: torch.Tensor
    targets: torch.Tensor
    fresh: torch.Tensor

    def to(self, device: torch.device | str) -> TokenBatch:
        """Return the same on another device."""
        inputs, targets, fresh = (
            part.to(device, non_blocking=True) for part in (self.inputs, self.targets, self.fresh)
        )
        return TokenBatch(inputs, targets, fresh)


class Window(NamedTuple):
    """The tokens that each row of a batch reads in one step, for the rows of all processes."""

    starts: np.ndarray  # (rows,) int64, where in the token file the row's targets begin
    lengths: np.ndarray  # (rows,) int64, how many there are, 0 to `length`
    first: np.ndarray  # (rows,) int64, where the row's targets begin; what it reads before is context
    fresh: np.ndarray  # (rows,) bool
    length: int  # of the batch


class BpttBatches:
    """The batches of an epoch: rows that go on reading where they stopped, so that the state can be carried over.

    Without `documents` the text is cut into as many parts as there are rows, of equal length to within one token, and
    every token is a target once. With `documents` a row reads one document after the other, taking the next from a
    shuffled list when its last one ends; no window reaches over a document's end, so nothing leaks between documents.

    All is a function of (seed, epoch) and the sizes: nothing depends on what was drawn before.

    >>> file = TokenFile(np.array([1, 2, 0, 3, 1, 0], np.uint16), np.array([0]), characters=8)
    >>> [batch.targets.T.tolist() for batch in BpttBatches(file, batch_size=2, bptt=2).batches(epoch=0)]
    [[[1, 2], [3, 1]], [[0], [0]]]
    """

    def __init__(
        self,
        file: TokenFile,
        batch_size: int,
        bptt: int,
        seed: int = 0,
        random_length: bool = False,
        documents: bool = False,
        rank: int = 0,
        world_size: int = 1,
        reset: float = 0.0,
        context: int = 0,
    ) -> None:
        """Plan the batches for one of `world_size` processes.

        Args:
            file: the text.
            batch_size: rows of a batch, in each process.
            bptt: tokens a window, or about so many.
            seed: of the lengths and of the documents' order.
            random_length: draw each window's length as AWD-LSTM does (Merity et al. 2017, https://arxiv.org/abs/1708.02182):
                around `bptt`, one time in twenty around half of it, so that windows begin elsewhere in each epoch.
            documents: rows read whole documents.
            rank: this process, from 0.
            world_size: how many there are; each reads its own rows.
            reset: share of the windows that a row begins anew, without `documents`; as `drop_state_probability` of
                Melis et al. 2018 (https://arxiv.org/abs/1707.05589).
            context: tokens before its own part that each row reads first, without a target, without `documents`.
        """
        self.file = file
        self.batch_size = batch_size
        self.bptt = bptt
        self.seed = seed
        self.random_length = random_length
        self.documents = documents
        self.rank = rank
        self.rows = batch_size * world_size
        self.reset = 0.0 if documents else reset
        self.context = 0 if documents else context

    def number(self, epoch: int) -> int:
        """Return the number of batches in the epoch: the same in all processes."""
        return sum(1 for _ in self.plan(epoch))

    def batches(self, epoch: int, start: int = 0) -> Iterator[TokenBatch]:
        """Return the batches of this process from number `start` on."""
        for number, window in enumerate(self.plan(epoch)):
            if number >= start:
                yield self._batch(window)

    def plan(self, epoch: int) -> Iterator[Window]:
        """Return the windows of the epoch, for the rows of all processes."""
        if self.documents:
            bounds: np.ndarray = np.append(self.file.documents, len(self.file))
            order = np.random.default_rng([self.seed, epoch, 1]).permutation(len(bounds) - 1)
        else:
            bounds = np.arange(self.rows + 1) * len(self.file) // self.rows
            order = np.arange(self.rows)
        lengths, resets = self._lengths(epoch), np.random.default_rng([self.seed, epoch, 2])
        first: np.ndarray = np.zeros(self.rows, np.int64)
        at: np.ndarray = np.zeros(self.rows, np.int64)
        end: np.ndarray = np.zeros(self.rows, np.int64)
        taken = 0
        while True:
            waiting = np.flatnonzero(at == end)[: len(order) - taken]
            following = order[taken : taken + len(waiting)]
            taken += len(waiting)
            first[waiting], end[waiting] = bounds[following], bounds[following + 1]
            at[waiting] = np.maximum(first[waiting] - self.context, 0)
            fresh: np.ndarray = resets.random(self.rows) < self.reset
            fresh[waiting] = True
            longest = int((end - at).max())
            if longest == 0:
                return
            length = min(next(lengths), longest)
            read = np.minimum(end - at, length)
            yield Window(at.copy(), read, first.copy(), fresh=fresh, length=length)
            at += read

    def _lengths(self, epoch: int) -> Iterator[int]:
        random = np.random.default_rng([self.seed, epoch, 0])
        while True:
            if self.random_length:
                around = self.bptt if random.random() < 0.95 else self.bptt / 2
                yield max(5, int(random.normal(around, 5)))
            else:
                yield self.bptt

    def _batch(self, window: Window) -> TokenBatch:
        mine = slice(self.rank * self.batch_size, (self.rank + 1) * self.batch_size)
        steps = np.arange(window.length)[:, None]
        there = steps < window.lengths[mine]
        places = np.where(there, window.starts[mine] + steps, 0)
        scored = there & (places >= window.first[mine])
        targets = np.where(scored, self.file.tokens[places].astype(np.int64), -1)
        # Place 0 has nothing before it: the text begins as if a line had just ended. So does every document.
        inputs = np.where(places > 0, self.file.tokens[places - 1].astype(np.int64), 0)
        return TokenBatch(torch.from_numpy(inputs), torch.from_numpy(targets), torch.from_numpy(window.fresh[mine]))
