"""Lines into token indices, a megabyte at a time: what a tokenizer's `encode` gives, and 0 after each line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from speechrnn.core.errors import UserError
from speechrnn.data.texts.reader import Line
from speechrnn.data.tokens import Block
from speechrnn.text.normalisation import NormalisationOptions, normalise
from speechrnn.text.symbols import describe_counts
from speechrnn.text.tokenizers import UNKNOWN, CharTokenizer, Tokenizer

_BLOCK = 1 << 20  # characters encoded at once, about


def normalised(lines: Iterable[Line], options: NormalisationOptions) -> Iterator[Line]:
    """Return the lines as the options ask; each stays a line, even if nothing is left of it."""
    for line in lines:
        text = normalise(line.text, options)
        if not line.ended and options.collapse_spaces and line.text[-1:].isspace():
            text += " "  # inside a line, and so not at its end
        yield line._replace(text=text)


class Encoder:
    """Encoder of a text that counts its `lines` and its `unknown` tokens: all that are `<unk>`, the text's own too."""

    def __init__(self, tokenizer: Tokenizer, name: str) -> None:
        """Build the tables. `name`: of the text in messages, such as "The training part of the text"."""
        self.tokenizer = tokenizer
        self.name = name
        self.lines = 0
        self.unknown = 0
        self._open = UNKNOWN in tokenizer.symbols[1:2]
        self._encode = self._table() if isinstance(tokenizer, CharTokenizer) else self._one_by_one

    def blocks(self, lines: Iterable[Line]) -> Iterator[Block]:
        """Return the lines (normalised) as blocks for `write_tokens`.

        Raises:
            UserError: characters outside the alphabet of a CharTokenizer without `<unk>`; all of them, with counts.
        """
        foreign: Counter[str] = Counter()
        for chunk in _chunks(lines):
            ids = None if foreign else self._encode(chunk)
            if ids is None:
                for line in chunk:
                    foreign += self.tokenizer.count_unknown(line.text)
                continue
            self.lines += sum(line.ended for line in chunk)
            self.unknown += int((ids == 1).sum()) if self._open else 0
            yield Block(ids, sum(len(line.text) + line.ended for line in chunk), chunk[0].document)
        if foreign:
            raise UserError(
                f"{self.name} holds {describe_counts(foreign)}, outside the alphabet of {len(self.tokenizer) - 1} "
                "characters; normalise them away, or train a model with tokenizer.unknown=true, to read them as <unk>."
            )

    def _one_by_one(self, chunk: Sequence[Line]) -> np.ndarray | None:
        encode = self.tokenizer.encode
        ids: list[int] = []
        for line in chunk:
            # A part of a line ends with the space that words and subwords imply.
            ids += encode(line.text if line.ended else line.text.rstrip(" "))
            if line.ended:
                ids.append(0)
        return np.array(ids, np.int64)

    def _table(self) -> Callable[[Sequence[Line]], np.ndarray | None]:
        """Look up the tokens of characters by their code points, at once; None where a character has no token."""
        alphabet = {ord(symbol): number for number, symbol in enumerate(self.tokenizer.symbols) if len(symbol) == 1}
        table: np.ndarray = np.full(
            max(alphabet) + 2, 1 if self._open else -1, np.int64
        )  # the last for all code points above
        for code, number in alphabet.items():
            table[code] = number
        table[ord("\n")] = 0

        def encode(chunk: Sequence[Line]) -> np.ndarray | None:
            text = "".join([line.text + "\n" if line.ended else line.text for line in chunk])
            codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
            ids = table[np.minimum(codes, len(table) - 1)]
            return None if len(ids) and ids.min() < 0 else ids

        return encode


def _chunks(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Yield lines in chunks of about a megabyte; a document begins a new chunk."""
    chunk: list[Line] = []
    size = 0
    for line in lines:
        if chunk and (line.document or size >= _BLOCK):
            yield chunk
            chunk, size = [], 0
        chunk.append(line)
        size += len(line.text) + 1
    if chunk:
        yield chunk
