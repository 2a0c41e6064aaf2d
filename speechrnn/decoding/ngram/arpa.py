"""N-grams with their probabilities, and ARPA files; `symbols` explains how symbols are spelt in them."""

from __future__ import annotations

import contextlib
import gzip
import math
import re
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn, cast

import numpy as np
import torch
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write
from speechrnn.decoding.ngram.symbols import BEGIN, END
from speechrnn.text.tokenizers import UNKNOWN

NEVER = -99.0  # log10 of what is impossible, in the files of all tools
LN_10 = math.log(10)
MAGIC_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Ngrams:
    """The n-grams of orders 1, 2, ... and their natural log-probabilities.

    Attributes:
        source: name of the model in messages, such as the path of its file.
        names: the words as an ARPA file spells them: `</s>` first, then `<unk>` where there is one; never `<s>`.
        words: an order's (number, order) int64 indices into `names`; `len(names)` stands for `<s>`.
        log_probs: an order's (number,) float32 log-probabilities of the last word after the others.
        backoffs: an order's (number,) float32 logs of the lower order's factor after these words; 0 in the highest.
        counts: an order's (number,) int64, how often each came in the text; empty where they are not known.
    """

    source: str
    names: list[str]
    words: tuple[Tensor, ...]
    log_probs: tuple[Tensor, ...]
    backoffs: tuple[Tensor, ...]
    counts: tuple[Tensor, ...] = ()

    @property
    def order(self) -> int:
        return len(self.words)


def write_arpa(path: str | Path, ngrams: Ngrams) -> None:
    """Write an ARPA file, compressed where its name ends in `.gz`; the same n-grams give the same bytes.

    >>> import tempfile
    >>> from speechrnn.decoding.ngram.kneser_ney import kneser_ney
    >>> path = Path(tempfile.mkdtemp()) / "model.arpa"
    >>> write_arpa(path, kneser_ney([[1, 2], [1]], ["<blank>", "a", "b"], order=2))
    >>> path.read_text().splitlines()[:3]
    ['\\\\data\\\\', 'ngram 1=4', 'ngram 2=4']

    Raises:
        UserError: see `atomic_write`.
    """
    with atomic_write(path, "wb") as file:
        if Path(path).suffix != ".gz":
            file.writelines(_lines(ngrams))
        else:
            with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as compressed:
                compressed.writelines(_lines(ngrams))


def _lines(ngrams: Ngrams) -> Iterator[bytes]:
    names = [*ngrams.names, BEGIN]
    yield b"\\data\\\n"
    for order, words in enumerate(ngrams.words, 1):
        yield f"ngram {order}={len(words)}\n".encode()
    orders = zip(ngrams.words, ngrams.log_probs, ngrams.backoffs, strict=True)
    for order, (words, log_probs, backoffs) in enumerate(orders, 1):
        yield f"\n\\{order}-grams:\n".encode()
        numbers = (log_probs.double() / LN_10).clamp_min(NEVER).tolist(), (backoffs.double() / LN_10).tolist()
        for row, log_prob, backoff in zip(words.tolist(), *numbers, strict=True):
            text = " ".join([names[word] for word in row])
            tail = "" if order == ngrams.order else f"\t{backoff:.7g}"
            yield f"{log_prob:.7g}\t{text}{tail}\n".encode()
    yield b"\n\\end\\\n"


def read_arpa(path: str | Path) -> Ngrams:
    """Read an ARPA file of any order, plain or compressed by gzip.

    Raises:
        UserError: the file cannot be read, is damaged or cut short; the message names the line.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == MAGIC_GZIP
        with contextlib.closing(cast(IO[bytes], (gzip.open if compressed else open)(path, "rb"))) as text:
            return _Reader(path, text).read()
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"Cannot read the n-gram model {path}: {reason}; give a whole ARPA file.") from error


class _Reader:
    """A parser of ARPA files, line by line; its errors name the file and the line."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self.file = file
        self.number = 0  # of the line read last
        self.index: dict[bytes, int] = {}

    def fail(self, reason: str) -> NoReturn:
        raise UserError(f"{self.path}, line {self.number}: {reason}.") from None

    def cut_short(self, place: str) -> NoReturn:
        self.fail(f"the file ends {place}, before \\end\\; it was cut short, so copy or make it again")

    def line(self) -> bytes:
        """Return the next line that is not empty."""
        while line := self.file.readline():
            self.number += 1
            if line := line.strip():
                break
        else:
            self.cut_short("among its counts")
        return line

    def read(self) -> Ngrams:
        for line in self.file:
            self.number += 1
            if line.strip() == b"\\data\\":
                break
        else:
            raise UserError(f"{self.path} is no ARPA file, for none of its lines is \\data\\; give an n-gram model.")
        counts, line = self.counts()
        names: list[str] = []
        words, log_probs, backoffs = [], [], []
        for order, count in enumerate(counts, 1):
            if line != b"\\%d-grams:" % order:
                self.fail(f"\\{order}-grams: should stand here, not {_shown(line)}")
            if order == 1:
                names, line, *columns = self.unigrams(count, len(counts))
            else:
                line, *columns = self.ngrams(order, count, len(counts))
            # torch.tensor(array) would take it item by item.
            numbers, *values = (torch.from_numpy(np.array(column)) for column in columns)
            words.append(numbers.view(count, order))
            log_probs.append((values[0] * LN_10).float())
            backoffs.append((values[1] * LN_10).float())
        if line != b"\\end\\":
            self.fail(f"\\end\\ should stand here, not {_shown(line)}")
        return Ngrams(str(self.path), names, tuple(words), log_probs=tuple(log_probs), backoffs=tuple(backoffs))

    def counts(self) -> tuple[list[int], bytes]:
        """Return the counts of the head (`ngram 2=1234`), and the line after them."""
        counts: list[int] = []
        while (line := self.line()).startswith(b"ngram"):
            found = re.fullmatch(rb"ngram\s+(\d{1,3})\s*=\s*(\d{1,18})", line)
            if not found or int(found[1]) != len(counts) + 1:
                self.fail(f"'ngram {len(counts) + 1}=NUMBER' should stand here, not {_shown(line)}")
            counts.append(int(found[2]))
        if not counts:
            self.fail("the counts ('ngram 1=NUMBER') should follow \\data\\")
        return counts, line

    def unigrams(self, count: int, highest: int) -> tuple[list[str], bytes, array[int], array[float], array[float]]:
        """Read the 1-grams, which list the words: names, line after them, words, log-probabilities, backoffs."""
        spelt: list[bytes] = []
        # Words are numbered in the order of the file; END OF LINE and <unk> move to their indices afterwards.
        line, _, log_probs, backoffs = self.ngrams(1, count, highest, spelt=spelt)
        unknown = next((word for word in (b"<unk>", b"<UNK>") if word in self.index), None)
        for word in (BEGIN, END):
            if word.encode() not in self.index:
                self.fail(f"no {word} is among the words; make the model with the marks of the line's begin and end")
        special = [word for word in (END.encode(), unknown) if word]
        order = [*special, *[word for word in spelt if word not in (*special, BEGIN.encode())], BEGIN.encode()]
        self.index = {word: number for number, word in enumerate(order)}
        try:
            names = [word.decode() for word in order[:-1]]
        except UnicodeDecodeError as error:
            raise UserError(f"{self.path}: the word {error.object!r} is not UTF-8; convert the file.") from error
        if unknown:
            names[1] = UNKNOWN
        return names, line, array("q", [self.index[word] for word in spelt]), log_probs, backoffs

    def ngrams(
        self, order: int, count: int, highest: int, spelt: list[bytes] | None = None
    ) -> tuple[bytes, array[int], array[float], array[float]]:
        """Read the section of an order: line after it, indices of words, log-probabilities and backoffs (base 10).

        With `spelt`, each word is new and is appended to that list.
        """
        words, log_probs, backoffs = array("q"), array("d"), array("d")
        index, size = self.index, order + 1
        longest = size + (order < highest)  # fields of a line
        try:
            for line in self.file:
                self.number += 1
                if line.startswith(b"\\"):
                    break
                fields = line.split()
                if not fields:
                    continue
                if not size <= len(fields) <= longest:
                    self.fail(f"{_shown(line)} is no {order}-gram with its log-probability")
                log_prob = float(fields[0])
                backoff = float(fields[size]) if len(fields) > size else 0.0
                if not log_prob <= 0 or not backoff < math.inf:
                    self.fail(f"{_shown(line)} has a number that is no log-probability")
                if spelt is not None:
                    if fields[1] in index:
                        self.fail(f"the word {_shown(fields[1])} stands there a second time")
                    index[fields[1]] = len(spelt)
                    spelt.append(fields[1])
                words.extend([index[word] for word in fields[1:size]])
                log_probs.append(log_prob)
                backoffs.append(backoff)
            else:
                self.cut_short(f"after {len(log_probs)} of {count} {order}-grams")
        except ValueError:
            self.fail(f"{_shown(line)} should begin with a number" + " and may end in one" * (order < highest))
        except KeyError as error:
            self.fail(f"the word {_shown(error.args[0])} is not among the 1-grams")
        if len(log_probs) != count:
            self.fail(
                f"here end {len(log_probs)} {order}-grams, but the file's head counts {count}; copy or make it again"
            )
        return line.strip(), words, log_probs, backoffs


def _shown(line: bytes) -> str:
    return repr(line.strip().decode(errors="replace")[:60])
