"""Binary files of KenLM (Heafield 2011), read by the library that the flashlight-text package carries.

Their n-grams can only be asked for, not listed, hence this slower way; `NgramModel` is the way for ARPA files.
"""

from __future__ import annotations

import mmap
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.decoding.ngram.arpa import LN_10
from speechrnn.decoding.ngram.symbols import END, match_names, missing_symbols, symbol, visible
from speechrnn.text.tokenizers import BLANK, UNKNOWN, Tokenizer

MAGIC = b"mmap lm http://kheafield.com/code"
HEADER = struct.Struct("<B3xfiB3xI")  # order, hash tables' spare room, kind, whether the words are in the file, version
HEADER_AT = 88  # bytes, after the magic words and a few numbers by which KenLM knows its own byte order
PROBE = """
import sys
from flashlight.lib.text.decoder.kenlm import KenLM
from flashlight.lib.text.dictionary import Dictionary
dictionary = Dictionary()
words = sys.stdin.buffer.read().decode().split(chr(10))
for word in words:
    dictionary.add_entry(word)
model = KenLM(sys.argv[1], dictionary)
state = model.start(False)
for number in range(len(words)):
    after, _ = model.score(state, number)
    model.score(after, number)
"""
BEGIN = -1  # the line's begin in a history


def is_kenlm(path: str | Path) -> bool:
    """Return whether a file begins as KenLM's binary files do. UserError where it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError as error:
        raise UserError(f"Cannot read the n-gram model {path}: {error.strerror or error}.") from error


class KenlmModel:
    """A binary file of KenLM; implements `models.LanguageModelProtocol`.

    Takes about 3 microseconds for each state and token on one core: right for characters and for small vocabularies.
    For a vocabulary of words, the ARPA file is the faster one by far.

    Attributes:
        vocabulary, words, missing, order: as those of `NgramModel`; `missing` is empty where the file was made without
            its words.
    """

    def __init__(
        self, path: str | Path, tokenizer: Tokenizer | None = None, device: str | torch.device = "cpu"
    ) -> None:
        """Opens the file; its pages are read when they are needed.

        Raises:
            UserError: flashlight-text is not installed; the file is damaged; the tokenizer is of another kind (see
                `match_names`); there is none and the file holds no words.
        """
        self.device = torch.device(device)
        try:
            self.order, names = _header(path)
        except (OSError, ValueError, struct.error, UnicodeDecodeError) as error:
            raise UserError(f"The KenLM file {path} is damaged ({error}); copy or make it again.") from error
        self.missing: list[str] = []
        if tokenizer is None:
            if names is None:
                raise UserError(f"The KenLM file {path} holds no list of its words; give the ARPA file it was made of.")
            spelt, self.words = names, [BLANK, *map(symbol, names[1:])]
        else:
            spelt, self.words = [END, *map(visible, tokenizer.symbols[1:])], tokenizer.symbols
            if names is not None:
                tokens = match_names(names, tokenizer, str(path))
                self.missing = missing_symbols(tokens, tokenizer)
                for name, token in zip(names, tokens, strict=True):
                    if token >= 0:
                        spelt[token] = name
        self.vocabulary = len(spelt)
        self._model = _load(path, spelt)
        self._histories: list[tuple[int, ...]] = []
        self._numbers: dict[tuple[int, ...], int] = {}

    def begin(self) -> int:
        self._histories, self._numbers = [], {}
        return self._number((BEGIN,))

    def extend(self, states: Tensor, tokens: Tensor) -> Tensor:
        """(n,), (n,) -> (n,) states after one more token; END OF LINE leads to the start state."""
        pairs = zip(states.tolist(), tokens.tolist(), strict=True)
        histories = [(*self._histories[state], token) if token else (BEGIN,) for state, token in pairs]
        return torch.tensor(list(map(self._number, histories)), dtype=torch.int64, device=self.device)

    def log_probs(self, states: Tensor) -> Tensor:
        """(n,) -> (n, vocabulary) float32 natural log-probabilities of the next token."""
        rows = [self._row(self._histories[state]) for state in states.tolist()]
        return torch.tensor(rows, device=self.device).view(-1, self.vocabulary) * LN_10

    def _number(self, history: tuple[int, ...]) -> int:
        history = history[max(0, len(history) - self.order + 1) :]
        number = self._numbers.setdefault(history, len(self._histories))
        if number == len(self._histories):
            self._histories.append(history)
        return number

    def _row(self, history: tuple[int, ...]) -> list[float]:
        # KenLM's binding keeps all states that were ever made from one as long as that one, so none is kept here.
        begins = history[:1] == (BEGIN,)
        state = self._model.start(not begins)
        for token in history[begins:]:
            state, _ = self._model.score(state, token)
        score = self._model.score
        return [score(state, token)[1] for token in range(self.vocabulary)]


def _load(path: str | Path, spelt: list[str]) -> Any:
    try:
        from flashlight.lib.text.decoder.kenlm import KenLM
        from flashlight.lib.text.dictionary import Dictionary
    except ImportError as error:
        raise UserError(
            f"{path} is a binary file of KenLM, which needs the package flashlight-text: install it, or, where there is"
            " none for this Python and machine, give the ARPA file that the binary one was made of."
        ) from error
    _probe(path, spelt)
    dictionary = Dictionary()
    for name in spelt:
        dictionary.add_entry(name)
    try:
        return KenLM(str(path), dictionary)
    except RuntimeError as error:
        raise UserError(
            f"The KenLM file {path} is damaged or of another version; copy or make it again, or give the ARPA file."
        ) from error


def _probe(path: str | Path, spelt: list[str]) -> None:
    """Load and ask the file in a child process first: the library trusts a damaged file's sizes, and may crash or hang.

    Raises:
        UserError: the child process did not end well.
    """
    try:
        words = "\n".join(spelt).encode()
        subprocess.run(
            [sys.executable, "-c", PROBE, str(path)], input=words, capture_output=True, timeout=60, check=True
        )
    except (subprocess.SubprocessError, OSError) as error:
        raise UserError(
            f"The KenLM file {path} is damaged or of another version; copy or make it again, or give the ARPA file."
        ) from error


def _header(path: str | Path) -> tuple[int, list[str] | None]:
    """The order, and the words as `Ngrams.names` has them, if they are in the file."""
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        order, _, _, has_words, _ = HEADER.unpack_from(data, HEADER_AT)
        (count,) = struct.unpack_from("<Q", data, HEADER_AT + HEADER.size)
        # The words come last, each with a zero byte after it, and <unk> is the first of them.
        words = data[data.rfind(UNKNOWN.encode() + b"\0") :].split(b"\0")[:-1]
        if not has_words:
            return order, None
        if len(words) != count or not 1 <= order <= 32:
            raise ValueError(f"{len(words)} words instead of {count}")
        return order, [END, *[word.decode() for word in words if word not in (b"<s>", b"</s>")]]
