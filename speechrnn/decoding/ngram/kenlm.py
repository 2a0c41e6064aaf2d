"""Binary files of KenLM (Heafield 2011), read by the library in the flashlight-text package.

The library scores one n-gram at a time and cannot list them, so this is slower than `NgramModel` on an ARPA file. It
trusts all sizes and offsets in a file, and therefore works in a process of its own (`kenlm_process`): a damaged file
gives an error of one sentence, and does not end this process.
"""

from __future__ import annotations

import importlib
import mmap
import struct
from pathlib import Path

import torch
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.core.files import begins_with
from speechrnn.decoding.ngram.arpa import LN_10
from speechrnn.decoding.ngram.kenlm_process import KenlmProcess
from speechrnn.decoding.ngram.symbols import END, match_names, missing_symbols, symbol, visible
from speechrnn.text.tokenizers import BLANK, UNKNOWN, Tokenizer

MAGIC = b"mmap lm http://kheafield.com/code"
HEADER = struct.Struct(
    "<B3xfiB3xI"
)  # order, load factor of the hash tables, kind, whether the words are in the file, version
HEADER_AT = 88  # bytes, after the magic words and some constants that show the byte order
LONGEST_ORDER = 32  # of any n-gram model that was ever made
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
        _check_package(path)
        self._process = KenlmProcess(path, spelt)
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
        histories = [self._histories[state] for state in states.tolist()]
        split = [(history[:1] == (BEGIN,), history[history[:1] == (BEGIN,) :]) for history in histories]
        return self._process.score(split).to(self.device) * LN_10

    def _number(self, history: tuple[int, ...]) -> int:
        history = history[max(0, len(history) - self.order + 1) :]
        number = self._numbers.setdefault(history, len(self._histories))
        if number == len(self._histories):
            self._histories.append(history)
        return number


def _check_package(path: str | Path) -> None:
    """Raise UserError where flashlight-text cannot be imported."""
    try:
        importlib.import_module("flashlight.lib.text.decoder.kenlm")
    except ImportError as error:
        raise UserError(
            f"{path} is a binary file of KenLM, which needs the package flashlight-text: install it, or, where there is"
            " none for this Python and machine, give the ARPA file that the binary one was made of."
        ) from error


def _header(path: str | Path) -> tuple[int, list[str] | None]:
    """Return the order, and the words in the form of `Ngrams.names` if the file holds them."""
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        order, _, _, has_words, _ = HEADER.unpack_from(data, HEADER_AT)
        (count,) = struct.unpack_from("<Q", data, HEADER_AT + HEADER.size)
        # The words come last, each with a zero byte after it, and <unk> is the first of them.
        words = data[data.rfind(UNKNOWN.encode() + b"\0") :].split(b"\0")[:-1]
        if not 1 <= order <= LONGEST_ORDER:
            raise ValueError(f"an order of {order}")
        if not has_words:
            return order, None
        if len(words) != count:
            raise ValueError(f"{len(words)} words instead of {count}")
        return order, [END, *[word.decode() for word in words if word not in (b"<s>", b"</s>")]]
