"""Tokenizers of characters, words, subwords and phones.

Index 0 of each tokenizer is `"<blank>"`: the blank of CTC, which no text contains. A language model uses the same index
for the boundary between lines.
"""

from __future__ import annotations

import base64
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from speechrnn.core.config import check_choice
from speechrnn.core.errors import UserError
from speechrnn.text.normalisation import NormalisationOptions
from speechrnn.text.phone_tokenizer import PhoneTokenizer
from speechrnn.text.symbols import BLANK, UNKNOWN, describe_symbol


class Tokenizer(Protocol):
    """A mapping between texts and indices; see `build_tokenizer` and `tokenizer_from_json`.

    >>> tokenizer: Tokenizer = CharTokenizer.build(["AB"])
    >>> tokenizer.encode("BA"), tokenizer.decode([2, 1])
    ([2, 1], 'BA')

    Attributes:
        kind: "char", "word", "subword" or "phone".
        symbols: the symbol of each index.
        normalisation: of the model's training texts, applied to words of users too; None: unknown.
    """

    kind: str
    symbols: list[str]
    normalisation: NormalisationOptions | None

    @property
    def unknown_index(self) -> int | None:
        """Return the index of `<unk>`, or None where `encode` refuses unknown characters."""

    def __len__(self) -> int:
        """Return the number of symbols, the blank included."""

    def encode(self, text: str) -> list[int]:
        """Return the indices of a text, none of them 0.

        Raises:
            UserError: the text has unknown characters and `unknown_index` is None.
        """

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of indices: `encode` undone, except where `<unk>` stands.

        Raises:
            ValueError: an index is the blank or negative.
        """

    def count_unknown(self, text: str) -> Counter[str]:
        """Count the characters (of words or phones: the words) of a text that have no index of their own."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values from which `tokenizer_from_json` makes the tokenizer again."""


class _SymbolTable:
    """A list of symbols and its index: the common base of CharTokenizer and WordTokenizer."""

    kind: str
    separator: str
    normalisation: NormalisationOptions | None = None

    def __init__(self, symbols: Iterable[str]) -> None:
        self.symbols = list(symbols)
        self._index = {symbol: number for number, symbol in enumerate(self.symbols) if number}
        if self.symbols[:1] != [BLANK] or len({BLANK, *self._index}) != len(self.symbols):
            raise UserError(f"A tokenizer's list of symbols begins with {BLANK!r} and names each symbol once.")

    @property
    def unknown_index(self) -> int | None:
        """Return the index of `<unk>`, or None where `encode` refuses unknown characters."""
        return 1 if self.symbols[1:2] == [UNKNOWN] else None

    def __len__(self) -> int:
        return len(self.symbols)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of indices above 0."""
        return self.separator.join([self.symbols[index] for index in _without_blanks(ids)])

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values from which `tokenizer_from_json` makes the tokenizer again."""
        return {"kind": self.kind, "symbols": self.symbols}


def _without_blanks(ids: Sequence[int]) -> Sequence[int]:
    # Negative indices would silently count from the end of the list.
    if any(index < 1 for index in ids):
        raise ValueError("decode() takes indices above 0: remove the blanks first")
    return ids


class CharTokenizer(_SymbolTable):
    """One index for each Unicode character, the space included.

    Characters outside the alphabet are an error, unless index 1 is `<unk>`. CTC needs the closed alphabet, since
    `<unk>` is no sound; a language model may read rare characters as `<unk>`, which it never writes.

    >>> CharTokenizer.build(["tuna"]).encode("nut")
    [2, 4, 3]
    """

    kind = "char"
    separator = ""

    @classmethod
    def build(
        cls, texts: Iterable[str], alphabet: str | None = None, min_count: int = 1, unknown: bool = False
    ) -> CharTokenizer:
        """Build a tokenizer from the characters of `alphabet`, or from those of the texts.

        Args:
            texts: (normalised) texts, read only if `alphabet` is None.
            alphabet: the characters in the order of their indices.
            min_count: how often a character occurs in the texts at least.
            unknown: add `<unk>`, index 1, for all other characters.

        Raises:
            UserError: no character occurs `min_count` times.
        """
        if alphabet is None:
            alphabet = "".join(sorted(_frequent(texts, min_count)))
        return cls([BLANK, *[UNKNOWN] * unknown, *alphabet])

    def encode(self, text: str) -> list[int]:
        """Return the index of each character.

        Raises:
            UserError: a character is outside the alphabet and there is no `<unk>`.
        """
        index = self._index
        try:
            return [index[character] for character in text]
        except KeyError:
            if (unknown := self.unknown_index) is not None:
                return [index.get(character, unknown) for character in text]
            unknown_names = ", ".join(map(describe_symbol, self.count_unknown(text)))
            raise UserError(
                f"The text {text[:40]!r} holds {unknown_names}, outside the alphabet of {len(self) - 1} characters; "
                "normalise the text or set tokenizer.alphabet."
            ) from None

    def count_unknown(self, text: str) -> Counter[str]:
        """Count the characters outside the alphabet."""
        return Counter(character for character in text if character not in self._index)


class WordTokenizer(_SymbolTable):
    """One index for each word between white space; words outside the vocabulary share `<unk>`, index 1.

    The `<unk>` that corpora such as Penn Treebank and WikiText-2 contain in place of rare words is the same symbol.

    >>> WordTokenizer.build(["tuna feed on herring"]).encode("sharks feed on tuna")
    [1, 2, 4, 5]
    """

    kind = "word"
    separator = " "

    def __init__(self, symbols: Iterable[str]) -> None:
        super().__init__(symbols)
        self._unknown = self._index[UNKNOWN]

    @classmethod
    def build(cls, texts: Iterable[str], vocabulary_size: int | None = None, min_count: int = 1) -> WordTokenizer:
        """Build a tokenizer from the words of (normalised) texts, the most frequent first.

        Args:
            texts: read once.
            vocabulary_size: symbols at most, `<blank>` and `<unk>` included; None: no limit.
            min_count: how often a word occurs in the texts at least.

        Raises:
            UserError: no word occurs `min_count` times.
        """
        counts = _frequent((text.split() for text in texts), min_count)
        words = sorted(counts.keys() - {BLANK, UNKNOWN}, key=lambda word: (-counts[word], word))
        return cls([BLANK, UNKNOWN, *words][:vocabulary_size])

    def encode(self, text: str) -> list[int]:
        """Return the index of each word, 1 for those outside the vocabulary."""
        get, unknown = self._index.get, self._unknown
        return [get(word, unknown) for word in text.split()]

    def count_unknown(self, text: str) -> Counter[str]:
        """Count the words outside the vocabulary."""
        return Counter(word for word in text.split() if word not in self._index)


def _frequent(texts: Iterable[Iterable[str]], min_count: int) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    frequent = {symbol: count for symbol, count in counts.items() if count >= min_count}
    if not frequent:
        raise UserError(f"The training text is empty, or nothing occurs tokenizer.min_count={min_count} times in it.")
    return frequent


class SubwordTokenizer:
    """Subwords from a sentencepiece unigram model (Kudo 2018, https://arxiv.org/abs/1804.10959).

    Each character of the training text is a subword of its own, so that only unseen characters become `<unk>`, index 1.
    "▁" stands for the space in `symbols`; a "▁" in a text counts as unknown.

    >>> tokenizer = SubwordTokenizer.train(["SHARKS FEED ON FISH", "SHARKS SEE FISH"] * 20, vocabulary_size=18)
    >>> tokenizer.decode(tokenizer.encode("FISH FEED"))
    'FISH FEED'
    """

    kind = "subword"
    normalisation: NormalisationOptions | None = None

    def __init__(self, model: bytes) -> None:
        import sentencepiece

        self._model = model
        # An empty model loads without complaint and then fails at each call.
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model or b"empty")
        self.symbols = [self._processor.id_to_piece(index) for index in range(self._processor.get_piece_size())]
        if self.symbols[:1] != [BLANK] or self._processor.unk_id() != 1:
            raise UserError("The sentencepiece model was not made by speechrnn: its first piece must be the blank.")
        if any(self._processor.is_byte(index) for index in range(len(self.symbols))):
            raise UserError("The sentencepiece model was not made by speechrnn: it has pieces that are bytes.")
        self._processor.decode([1])  # the spelling of <unk> may be invalid UTF-8: UnicodeDecodeError
        self.symbols[1] = UNKNOWN
        self._characters = {" "} | {piece for piece in self.symbols if len(piece) == 1 and piece != "▁"}

    @classmethod
    def train(cls, texts: Iterable[str], vocabulary_size: int) -> SubwordTokenizer:
        """Train a tokenizer; the same texts give the same bytes.

        Args:
            texts: (normalised) texts, read once.
            vocabulary_size: exact number of subwords, `<blank>` and `<unk>` included.

        Raises:
            UserError: the texts are empty, or allow no vocabulary of this size; the message names the limit.
        """
        import sentencepiece

        model = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(texts),
                model_writer=model,
                vocab_size=vocabulary_size,
                normalization_rule_name="identity",  # `normalise` is the place for that
                remove_extra_whitespaces=False,  # decode(encode(text)) == text
                character_coverage=1.0,
                pad_id=0,
                pad_piece=BLANK,
                unk_id=1,
                unk_piece="⁇",  # "<unk>" here would keep a corpus's own "<unk>" from being learnt
                unk_surface=UNKNOWN,
                bos_id=-1,
                eos_id=-1,
                num_threads=1,  # the sums depend on the number of threads
                max_sentence_length=2**30,  # by default lines above 4,192 bytes are dropped in silence
                minloglevel=2,
            )
        except RuntimeError as error:
            name = f"tokenizer.vocabulary_size={vocabulary_size}"
            if found := re.search(r"too high.*<= (\d+)", str(error)):
                raise UserError(f"{name} is too large for this text; the largest possible is {found[1]}.") from error
            if found := re.search(r"required_chars\. \d+ vs (\d+)", str(error)):
                raise UserError(f"{name} is too small for this text; the smallest possible is {found[1]}.") from error
            raise UserError(f"No subwords with {name} can be learnt from an empty text ({error}).") from error
        return cls(model.getvalue())

    @property
    def unknown_index(self) -> int | None:
        """Return the index of `<unk>`."""
        return 1

    def __len__(self) -> int:
        return len(self.symbols)

    def encode(self, text: str) -> list[int]:
        """Return the indices of the subwords, 1 for unseen characters."""
        return self._processor.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of indices above 0."""
        return self._processor.decode([int(index) for index in _without_blanks(ids)])

    def count_unknown(self, text: str) -> Counter[str]:
        """Count the characters that the training text lacked."""
        return Counter(character for character in text if character not in self._characters)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values from which `tokenizer_from_json` makes the tokenizer again."""
        return {"kind": self.kind, "model": base64.b64encode(self._model).decode("ascii")}


def tokenizer_from_json(data: Mapping[str, Any]) -> Tokenizer:
    """Make a tokenizer from the result of its `to_json`.

    Raises:
        UserError: the description is damaged.

    >>> tokenizer_from_json({"kind": "char", "symbols": ["<blank>", "a", "b"]}).encode("ba")
    [2, 1]
    """
    kind = data.get("kind")
    check_choice("The tokenizer's kind", kind, "char", "word", "subword", "phone")
    try:
        if kind == "phone":
            return PhoneTokenizer.from_json(data)
        if kind == "subword":
            return SubwordTokenizer(base64.b64decode(data["model"], validate=True))
        return (CharTokenizer if kind == "char" else WordTokenizer)(data["symbols"])
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"The description of the {kind} tokenizer is damaged ({error}); take the file anew.") from error


@dataclass(frozen=True)
class TokenizerOptions:
    """Options of `build_tokenizer`.

    >>> TokenizerOptions("subword", vocabulary_size=1000).kind
    'subword'

    Attributes:
        kind: "char", "word", "subword" or "phone".
        vocabulary_size: the number of words (at most; None: all) or subwords (exactly), `<blank>` and `<unk>` included.
        min_count: how often a character or word occurs in the texts at least.
        alphabet: the characters of a CharTokenizer instead of those in the texts.
        unknown: whether a CharTokenizer has `<unk>` for all other characters.
        pronunciations: dictionary of a PhoneTokenizer, in the CMU dictionary's format.

    Raises:
        UserError: a value out of range, or an option that has no meaning for the kind.
    """

    kind: str = "char"
    vocabulary_size: int | None = None
    min_count: int = 1
    alphabet: str | None = None
    unknown: bool = False
    pronunciations: Path | None = None

    def __post_init__(self) -> None:
        check_choice("tokenizer.kind", self.kind, "char", "word", "subword", "phone")
        for key, least in (("vocabulary_size", 3), ("min_count", 1)):
            value = getattr(self, key)
            if value is not None and (not isinstance(value, int) or value < least):
                raise UserError(f"tokenizer.{key} is {value!r}; give a whole number from {least} up.")
        if self.alphabet is not None and (not isinstance(self.alphabet, str) or not self.alphabet):
            raise UserError(f"tokenizer.alphabet is {self.alphabet!r}; give the characters as one quoted string.")
        if not isinstance(self.unknown, bool):
            raise UserError(f"tokenizer.unknown is {self.unknown!r}; give true or false.")
        applies = {
            "char": ("min_count", "alphabet", "unknown"),
            "word": ("vocabulary_size", "min_count"),
            "subword": ("vocabulary_size",),
            "phone": ("pronunciations",),
        }
        defaults = {"vocabulary_size": None, "min_count": 1, "alphabet": None, "unknown": False, "pronunciations": None}
        for key, unset in defaults.items():
            if getattr(self, key) != unset and key not in applies[self.kind]:
                raise UserError(f"tokenizer.{key} has no effect with tokenizer={self.kind}; leave it out.")
        if self.kind == "subword" and self.vocabulary_size is None:
            raise UserError("tokenizer=subword needs tokenizer.vocabulary_size, for example 500.")


def build_tokenizer(options: TokenizerOptions, texts: Iterable[str]) -> Tokenizer:
    """Build a tokenizer from (normalised) training texts, which are read once.

    Raises:
        UserError: the texts are empty or do not fit the options.

    >>> build_tokenizer(TokenizerOptions("char", alphabet="ab"), []).symbols
    ['<blank>', 'a', 'b']
    """
    if options.kind == "char":
        return CharTokenizer.build(texts, options.alphabet, options.min_count, unknown=options.unknown)
    if options.kind == "word":
        return WordTokenizer.build(texts, options.vocabulary_size, options.min_count)
    if options.kind == "phone":
        if options.pronunciations is None:
            raise UserError("tokenizer=phone needs tokenizer.pronunciations, a dictionary such as cmudict.dict.")
        return PhoneTokenizer.build(texts, options.pronunciations)
    return SubwordTokenizer.train(texts, options.vocabulary_size or 0)
