"""Binary files of KenLM (Heafield 2011), read by the library in the flashlight-text package.

The library scores one n-gram at a time and cannot list them, so this is slower than `NgramModel` on an ARPA file.

The library trusts all sizes and offsets in a file, so that a damaged file can crash the process or make it hang.
`KenlmModel` therefore first loads it in a child process and scores each word there after two histories: the begin of a
line, and the same with the word itself behind it. What fails there is an error with a message. Damage elsewhere in the
n-grams is not found that way and may still reach the library in this process. An ARPA file has no such danger: use one
where the file comes from others.
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
from speechrnn.core.files import begins_with
from speechrnn.decoding.ngram.arpa import LN_10
from speechrnn.decoding.ngram.symbols import END, match_names, missing_symbols, symbol, visible
from speechrnn.text.tokenizers import BLANK, UNKNOWN, Tokenizer

MAGIC = b"mmap lm http://kheafield.com/code"
HEADER = struct.Struct(
    "<B3xfiB3xI"
)  # order, load factor of the hash tables, kind, whether the words are in the file, version
HEADER_AT = 88  # bytes, after the magic words and some constants that show the byte order
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
BEGIN = -1  # begin of a line, in a history


def is_kenlm(path: str | Path) -> bool:
    """Return whether a file begins as KenLM's binary files do. UserError where it cannot be read."""
    try:
        return begins_with(path, MAGIC)
    except OSError as error:
        raise UserError(f"Cannot read the n-gram model {path}: {error.strerror or error}.") from error


class KenlmModel:
    """A binary file of KenLM; implements `scorers.language_model.LanguageModelProtocol`.

    Takes about 3 microseconds for each state and token on one core: fast enough for characters and small vocabularies.
    For a vocabulary of words, use the ARPA file.

    Attributes:
        vocabulary, words, missing, order: as those of `NgramModel`; `missing` is empty where the file was made without
            its words.
    """

    def __init__(
        self, path: str | Path, tokenizer: Tokenizer | None = None, device: str | torch.device = "cpu"
    ) -> None:
        """Open a file; its pages are read when they are needed.

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
        """Return (n,) states: (n,) states, each after one of (n,) tokens; END OF LINE leads to the start state."""
        pairs = zip(states.tolist(), tokens.tolist(), strict=True)
        histories = [(*self._histories[state], token) if token else (BEGIN,) for state, token in pairs]
        return torch.tensor(list(map(self._number, histories)), dtype=torch.int64, device=self.device)

    def log_probs(self, states: Tensor) -> Tensor:
        """Return (n, vocabulary) float32 natural log-probabilities of the next token after (n,) states."""
        rows = [self._row(self._histories[state]) for state in states.tolist()]
        return torch.tensor(rows, device=self.device).view(-1, self.vocabulary) * LN_10

    def _number(self, history: tuple[int, ...]) -> int:
        history = history[max(0, len(history) - self.order + 1) :]
        number = self._numbers.setdefault(history, len(self._histories))
        if number == len(self._histories):
            self._histories.append(history)
        return number

    def _row(self, history: tuple[int, ...]) -> list[float]:
        # A state of KenLM's binding keeps every state that was ever made from it, so that none is stored here.
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
    """Load the file in a child process, and score each word after the histories `<s>` and `<s> word`.

    A damaged file can crash the library or make it hang. No longer histories are scored: see the module.

    Raises:
        UserError: the child process failed, crashed, or took over a minute.
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
    """Return the order, and the words in the form of `Ngrams.names` if the file holds them."""
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
