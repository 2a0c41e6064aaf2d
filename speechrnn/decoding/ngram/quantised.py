"""Small files of n-gram models: probabilities of 8 bits, compressed.

The log-probabilities of an order are rounded to 254 steps of equal width where there are more, and so are its backoff
weights. About 2.4 bytes an n-gram, a quarter of an ARPA file that is compressed by gzip, and read in a fraction of its
time. Bins with equally many values, as in KenLM, cost 5 % of perplexity here, since frequent n-grams share the few bins
at the top.

A file is a line that names the format, a line of JSON with the number of n-grams of each order, and the rest packed by
zlib: the words, and for each order the last words of its n-grams, sorted by their contexts, the number of n-grams of
each context, and the codes of log-probabilities and backoff weights with their tables. Integers are little-endian.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write, begins_with
from speechrnn.decoding.ngram.arpa import Ngrams
from speechrnn.decoding.ngram.lookup import NgramLookup
from speechrnn.decoding.ngram.symbols import END
from speechrnn.text.tokenizers import UNKNOWN

MAGIC = b"speechrnn n-grams 1\n"
BINS = 256
ORDERS = 32  # at most
LARGEST_SIZE = 2**31  # n-grams of an order
LARGEST_HEADER = 10_000  # bytes
LARGEST_RATIO = 200  # bytes unpacked for each byte packed, beyond SMALL; a real model has about 4
SMALL = 2**20
LARGEST_LOG = 1e4  # of a probability or a backoff weight, natural logarithm


def quantise(ngrams: Ngrams) -> Ngrams:
    """Return the n-grams with at most 256 different log-probabilities and backoff weights an order.

    >>> from speechrnn.decoding.ngram.kneser_ney import kneser_ney
    >>> quantise(kneser_ney([[1, 2], [1]], ["<blank>", "a", "b"], 2)).order
    2
    """
    # Backoff weights that are computed again from the rounded probabilities are worse: small rests are lost by
    # rounding.
    log_probs, backoffs = (tuple(_round(column) for column in values) for values in (ngrams.log_probs, ngrams.backoffs))
    return replace(ngrams, log_probs=log_probs, backoffs=backoffs)


def is_quantised(path: str | Path) -> bool:
    """Return whether a file begins as those of `write_quantised` do. UserError where it cannot be read."""
    try:
        return begins_with(path, MAGIC)
    except OSError as error:
        raise UserError(f"Cannot read the n-gram model {path}: {error.strerror or error}.") from error


def write_quantised(path: str | Path, ngrams: Ngrams) -> None:
    """Write n-grams with probabilities of 8 bits; the same n-grams give the same bytes.

    >>> import tempfile
    >>> from speechrnn.decoding.ngram.kneser_ney import kneser_ney
    >>> path = Path(tempfile.mkdtemp()) / "ngram.q8"
    >>> write_quantised(path, kneser_ney([[1, 2], [1]], ["<blank>", "a", "b"], 2))
    >>> read_quantised(path).names
    ['</s>', 'a', 'b']

    Raises:
        UserError: see `atomic_write`.
    """
    ngrams = _sort(quantise(ngrams))
    packer = zlib.compressobj(9)
    with atomic_write(path, "wb") as file:
        file.write(MAGIC)
        file.write(json.dumps({"sizes": [len(words) for words in ngrams.words]}).encode() + b"\n")
        for block in _blocks(ngrams):
            file.write(packer.compress(block))
        file.write(packer.flush())


def read_quantised(path: str | Path) -> Ngrams:
    """Read a file of `write_quantised`; memory is bounded by the size of the file.

    Raises:
        UserError: it cannot be read, or is damaged.
    """
    try:
        with Path(path).open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise ValueError("it does not begin as such a file does")
            header = file.readline(LARGEST_HEADER)
            packed = file.read()
        sizes = _read_sizes(header)
        limit = SMALL + LARGEST_RATIO * len(packed)
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(packed, limit)
        if not unpacker.eof or unpacker.unused_data:
            raise ValueError("it is cut short, or too long")
        return _Reader(content, sizes).read(str(path))
    except OSError as error:
        raise UserError(f"Cannot read the n-gram model {path}: {error.strerror or error}.") from error
    except (ValueError, KeyError, TypeError, RecursionError, zlib.error) as error:
        raise UserError(f"The n-gram model {path} is damaged ({error}); copy or make it again.") from error


def _round(values: Tensor) -> Tensor:
    """Round values to steps of equal width; what is infinite, and 0, stays as it is.

    Values that fit in a table stay as they are, too, so that rounded values are rounded to themselves: steps computed
    from them would differ in the last digit.
    """
    ordinary = values[values.isfinite() & (values != 0)]
    if len(ordinary.unique()) <= BINS - 2:
        return values
    low, high = float(ordinary.min()), float(ordinary.max())
    step = (high - low) / (BINS - 3) or 1.0
    rounded = low + ((values - low) / step).round() * step
    return torch.where(values.isfinite() & (values != 0), rounded.clamp(low, high), values)


def _sort(ngrams: Ngrams) -> Ngrams:
    """Sort the n-grams of each order by their contexts' places in the order below, then by their last word."""
    orders = [ngrams.words[0][:, 0].argsort()]
    lookup = NgramLookup(ngrams)
    for order in range(2, ngrams.order + 1):
        below = torch.empty_like(orders[-1])
        below[orders[-1]] = torch.arange(len(below))  # row -> place
        longer = ngrams.words[order - 1]
        contexts = below[lookup.rows(longer[:, :-1])]
        orders.append((contexts * (len(ngrams.names) + 1) + longer[:, -1]).argsort())
    words, log_probs, backoffs = (
        tuple(column[order] for column, order in zip(columns, orders, strict=True))
        for columns in (ngrams.words, ngrams.log_probs, ngrams.backoffs)
    )
    return Ngrams(ngrams.source, ngrams.names, words, log_probs=log_probs, backoffs=backoffs)


def _blocks(ngrams: Ngrams) -> Iterator[bytes]:
    """Yield the content; the bytes of large numbers stand apart, the lower ones first: so they compress better."""
    names = "\n".join(ngrams.names).encode()
    yield len(names).to_bytes(4, "little") + names
    lookup = NgramLookup(ngrams)
    for order, words in enumerate(ngrams.words, 1):
        if order > 1:  # those of order 1 are all words, in their order
            contexts = lookup.rows(words[:, :-1])
            yield _planes(torch.bincount(contexts, minlength=len(ngrams.words[order - 2])))
            yield _planes(words[:, -1])
        yield _encode(ngrams.log_probs[order - 1])
        if order < ngrams.order:
            yield _encode(ngrams.backoffs[order - 1])


def _planes(numbers: Tensor) -> bytes:
    return np.ascontiguousarray(numbers.numpy().astype("<u4")).view(np.uint8).reshape(-1, 4).T.tobytes()


def _encode(values: Tensor) -> bytes:
    """Return a table of 256 floats, and the number of each value in it."""
    table, codes = torch.unique(values, return_inverse=True)
    padded = torch.zeros(BINS)
    padded[: len(table)] = table
    return padded.numpy().astype("<f4").tobytes() + codes.numpy().astype(np.uint8).tobytes()


def _read_sizes(header: bytes) -> list[int]:
    """Return the numbers of n-grams of each order. ValueError where there are none."""
    sizes = json.loads(header)["sizes"]
    if not isinstance(sizes, list) or not 1 <= len(sizes) <= ORDERS:
        raise ValueError("its sizes are missing")
    if not all(type(size) is int and 0 <= size < LARGEST_SIZE for size in sizes) or sizes[0] < 2:
        raise ValueError("its sizes are no numbers of n-grams")
    return sizes


class _Reader:
    """A parser of unpacked content; each error is a ValueError."""

    def __init__(self, content: bytes, sizes: list[int]) -> None:
        self.content = content
        self.sizes = sizes
        self.position = 0

    def read(self, source: str) -> Ngrams:
        names_size = int.from_bytes(self.take(4).tobytes(), "little")
        self.check_length(names_size)
        names = self.take(names_size).tobytes().decode().split("\n")
        special = [END, UNKNOWN] if UNKNOWN in names[:2] else [END]
        if len(names) + 1 != self.sizes[0] or names[: len(special)] != special or len(set(names)) < len(names):
            raise ValueError("its words are not those that it counts")
        words = [torch.arange(self.sizes[0])[:, None]]
        log_probs, backoffs = [], []
        for order, size in enumerate(self.sizes, 1):
            if order > 1:
                words.append(self.ngrams(order, words[-1]))
            log_probs.append(self.values(size))
            if bool((log_probs[-1] > 0).any()):
                raise ValueError("a log-probability is above 0")
            backoffs.append(self.values(size) if order < len(self.sizes) else torch.zeros(size))
        return Ngrams(source, names, tuple(words), log_probs=tuple(log_probs), backoffs=tuple(backoffs))

    def check_length(self, names_size: int) -> None:
        """Compare the length of the content with its sizes, before anything of these sizes is made."""
        columns = sum(size + 4 * BINS for size in (*self.sizes, *self.sizes[:-1]))
        numbers = sum(4 * (contexts + size) for contexts, size in zip(self.sizes, self.sizes[1:], strict=False))
        if 4 + names_size + columns + numbers != len(self.content):
            raise ValueError("it is not as long as its sizes say")

    def take(self, count: int) -> np.ndarray:
        """Return the next bytes."""
        if count > len(self.content) - self.position:
            raise ValueError("it is cut short")
        self.position += count
        return np.frombuffer(self.content, np.uint8, count, self.position - count)

    def numbers(self, count: int) -> Tensor:
        """Read (count,) int64."""
        planes = self.take(4 * count).reshape(4, count)
        return torch.from_numpy(np.ascontiguousarray(planes.T).view("<u4").ravel().astype(np.int64))

    def ngrams(self, order: int, contexts: Tensor) -> Tensor:
        """Read the words of an order: (contexts, order - 1) -> (n-grams, order)."""
        size = self.sizes[order - 1]
        counts = self.numbers(len(contexts))
        if int(counts.sum()) != size:
            raise ValueError(f"its {order}-grams are not as many as it counts")
        last = self.numbers(size)
        if bool((last >= self.sizes[0]).any()):
            raise ValueError("a word is none of its words")
        return torch.cat([contexts[torch.repeat_interleave(counts)], last[:, None]], 1)

    def values(self, count: int) -> Tensor:
        """Read (count,) float32 logarithms."""
        table = torch.from_numpy(self.take(4 * BINS).copy().view("<f4").astype(np.float32))
        if not bool(((table.abs() <= LARGEST_LOG) | (table == -torch.inf)).all()):
            raise ValueError("a probability is no number")
        return table[torch.from_numpy(self.take(count).astype(np.int64))]
