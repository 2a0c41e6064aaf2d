"""Text in and out of the networks: normalisation, and tokenizers of characters, words and subwords.

Index 0 of each tokenizer is `"<blank>"`: the blank of CTC, which never stands in a text. A language model uses the same
index for the boundary between lines.
"""

from __future__ import annotations

import base64
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from speechrnn.core.config import check_choice
from speechrnn.core.errors import UserError

BLANK = "<blank>"  # index 0 of every tokenizer
UNKNOWN = "<unk>"  # index 1 of word and subword tokenizers, and of a character tokenizer that has it


class Tokenizer(Protocol):
    """What the three tokenizers have in common; `tokenizer_from_json` reads one back."""

    kind: str
    symbols: list[str]

    def __len__(self) -> int:
        """The number of symbols, the blank included."""

    def encode(self, text: str) -> list[int]:
        """The indices of a text, never 0. UserError for characters outside a CharTokenizer that has no `<unk>`."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of indices without blanks (ValueError): `encode` undone, but for what was unknown."""

    def unknown(self, text: str) -> Counter[str]:
        """The characters (of a WordTokenizer: the words) of `text` that have no index of their own."""

    def to_json(self) -> dict[str, Any]:
        """All that is needed to make the tokenizer again, as plain JSON values."""


class _SymbolTable:
    """What characters and words share: a list of symbols and its index."""

    kind: str
    joint: str

    def __init__(self, symbols: Iterable[str]) -> None:
        self.symbols = list(symbols)
        self._index = {symbol: number for number, symbol in enumerate(self.symbols) if number}
        if self.symbols[:1] != [BLANK] or len({BLANK, *self._index}) != len(self.symbols):
            raise UserError(f"A tokenizer's list of symbols begins with {BLANK!r} and names each symbol once.")

    def __len__(self) -> int:
        return len(self.symbols)

    def decode(self, ids: Sequence[int]) -> str:
        return self.joint.join([self.symbols[index] for index in _without_blanks(ids)])

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "symbols": self.symbols}


def _without_blanks(ids: Sequence[int]) -> Sequence[int]:
    # Negative indices would silently count from the end of the list.
    if any(index < 1 for index in ids):
        raise ValueError("decode() takes indices above 0: take out the blanks first")
    return ids


class CharTokenizer(_SymbolTable):
    """One index a Unicode character, the space included; the alphabet is closed, unless index 1 is `<unk>`.

    CTC needs it closed: `<unk>` is no sound. A language model may read text with rare characters that it never writes.
    """

    kind = "char"
    joint = ""

    @classmethod
    def build(
        cls, texts: Iterable[str], alphabet: str | None = None, min_count: int = 1, unknown: bool = False
    ) -> CharTokenizer:
        """The characters of `alphabet` in its order, or those that stand `min_count` times in `texts`, sorted.

        With `unknown`, all others are `<unk>`, index 1.
        """
        if alphabet is None:
            alphabet = "".join(sorted(_frequent(texts, min_count)))
        return cls([BLANK, *[UNKNOWN] * unknown, *alphabet])

    def encode(self, text: str) -> list[int]:
        index = self._index
        try:
            return [index[character] for character in text]
        except KeyError:
            if UNKNOWN in index:
                return [index.get(character, 1) for character in text]
            raise UserError(
                f"The text {text[:40]!r} holds {', '.join(map(_name, self.unknown(text)))}, outside the alphabet of "
                f"{len(self) - 1} characters; normalise the text or set tokenizer.alphabet."
            ) from None

    def unknown(self, text: str) -> Counter[str]:
        return Counter(character for character in text if character not in self._index)


class WordTokenizer(_SymbolTable):
    """One index a word, words being what white space separates; all others share `<unk>`, index 1.

    Corpora that come with `<unk>` in place of rare words (Penn Treebank, WikiText-2) mean the same symbol by it.
    """

    kind = "word"
    joint = " "

    def __init__(self, symbols: Iterable[str]) -> None:
        super().__init__(symbols)
        self._unknown = self._index[UNKNOWN]

    @classmethod
    def build(cls, texts: Iterable[str], vocabulary_size: int | None = None, min_count: int = 1) -> WordTokenizer:
        """The words that stand `min_count` times, the frequent first; at most `vocabulary_size` symbols in all."""
        counts = _frequent((text.split() for text in texts), min_count)
        words = sorted(counts.keys() - {BLANK, UNKNOWN}, key=lambda word: (-counts[word], word))
        return cls([BLANK, UNKNOWN, *words][:vocabulary_size])

    def encode(self, text: str) -> list[int]:
        get, unknown = self._index.get, self._unknown
        return [get(word, unknown) for word in text.split()]

    def unknown(self, text: str) -> Counter[str]:
        return Counter(word for word in text.split() if word not in self._index)


def _frequent(texts: Iterable[Iterable[str]], min_count: int) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    frequent = {symbol: count for symbol, count in counts.items() if count >= min_count}
    if not frequent:
        raise UserError(
            f"The text to learn from is empty, or nothing stands tokenizer.min_count={min_count} times in it."
        )
    return frequent


class SubwordTokenizer:
    """Pieces of words from a sentencepiece unigram model (Kudo 2018, https://arxiv.org/abs/1804.10959).

    Each character of the training text is a piece of its own, so that only unseen characters become `<unk>`, index 1.
    "▁" stands for the space inside pieces, and so can't be told from it in a text.
    """

    kind = "subword"

    def __init__(self, model: bytes) -> None:
        import sentencepiece

        self._model = model
        # An empty model loads without complaint and then fails at each call.
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model or b"empty")
        self.symbols = [self._processor.id_to_piece(index) for index in range(self._processor.get_piece_size())]
        if self.symbols[:1] != [BLANK] or self._processor.unk_id() != 1:
            raise UserError("The sentencepiece model was not made by speechrnn: its first piece must be the blank.")
        self.symbols[1] = UNKNOWN
        self._characters = {" "} | {piece for piece in self.symbols if len(piece) == 1 and piece != "▁"}

    @classmethod
    def train(cls, texts: Iterable[str], vocabulary_size: int) -> SubwordTokenizer:
        """Learn `vocabulary_size` pieces, `<blank>` and `<unk>` included; the same texts give the same bytes."""
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

    def __len__(self) -> int:
        return len(self.symbols)

    def encode(self, text: str) -> list[int]:
        return self._processor.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        return self._processor.decode([int(index) for index in _without_blanks(ids)])

    def unknown(self, text: str) -> Counter[str]:
        return Counter(character for character in text if character not in self._characters)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "model": base64.b64encode(self._model).decode("ascii")}


def tokenizer_from_json(data: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer that `to_json` described. UserError where the description is damaged."""
    kind = data.get("kind")
    check_choice("The tokenizer's kind", kind, "char", "word", "subword")
    try:
        if kind == "subword":
            return SubwordTokenizer(base64.b64decode(data["model"], validate=True))
        return (CharTokenizer if kind == "char" else WordTokenizer)(data["symbols"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"The description of the {kind} tokenizer is damaged ({error}); take the file anew.") from error


@dataclass(frozen=True)
class TokenizerOptions:
    """How a tokenizer is made from texts.

    Attributes:
        kind: "char", "word" or "subword".
        vocabulary_size: the number of words (at most; None: all) or subwords (exactly), `<blank>` and `<unk>` included.
        min_count: characters or words that stand more rarely are left out.
        alphabet: the characters of a CharTokenizer instead of those found in the texts.
        unknown: whether a CharTokenizer has `<unk>` for all other characters.

    Raises:
        UserError: a value out of range, or an option that has no meaning for the kind.
    """

    kind: str = "char"
    vocabulary_size: int | None = None
    min_count: int = 1
    alphabet: str | None = None
    unknown: bool = False

    def __post_init__(self) -> None:
        check_choice("tokenizer.kind", self.kind, "char", "word", "subword")
        for key, least in (("vocabulary_size", 3), ("min_count", 1)):
            value = getattr(self, key)
            if value is not None and (not isinstance(value, int) or value < least):
                raise UserError(f"tokenizer.{key} is {value!r}; give a whole number from {least} up.")
        if self.alphabet is not None and (not isinstance(self.alphabet, str) or not self.alphabet):
            raise UserError(f"tokenizer.alphabet is {self.alphabet!r}; give the characters as one quoted string.")
        if not isinstance(self.unknown, bool):
            raise UserError(f"tokenizer.unknown is {self.unknown!r}; give true or false.")
        applies = {"char": ("min_count", "alphabet", "unknown"), "word": ("vocabulary_size", "min_count")}
        for key, unset in (("vocabulary_size", None), ("min_count", 1), ("alphabet", None), ("unknown", False)):
            if getattr(self, key) != unset and key not in applies.get(self.kind, ("vocabulary_size",)):
                raise UserError(f"tokenizer.{key} means nothing for tokenizer={self.kind}; leave it out.")
        if self.kind == "subword" and self.vocabulary_size is None:
            raise UserError("tokenizer=subword needs tokenizer.vocabulary_size, for example 500.")


def build_tokenizer(options: TokenizerOptions, texts: Iterable[str]) -> Tokenizer:
    """Make the tokenizer that the options ask for from (normalised) training texts; `texts` is read once."""
    if options.kind == "char":
        return CharTokenizer.build(texts, options.alphabet, options.min_count, options.unknown)
    if options.kind == "word":
        return WordTokenizer.build(texts, options.vocabulary_size, options.min_count)
    return SubwordTokenizer.train(texts, options.vocabulary_size or 0)


@dataclass(frozen=True)
class UnknownSymbol:
    """A character or word that a tokenizer lacks: its count, in how many utterances, and the ids of the first few."""

    symbol: str
    count: int
    utterances: int
    examples: tuple[str, ...]


def unknown_report(tokenizer: Tokenizer, texts: Iterable[tuple[str, str]], examples: int = 3) -> list[UnknownSymbol]:
    """The symbols outside the tokenizer in (utterance id, text) pairs, the most frequent first."""
    counts: Counter[str] = Counter()
    places: dict[str, list[str]] = {}
    for identity, text in texts:
        unknown = tokenizer.unknown(text)
        counts.update(unknown)
        for symbol in unknown:
            places.setdefault(symbol, []).append(identity)
    return [
        UnknownSymbol(symbol, counts[symbol], len(ids), tuple(ids[:examples]))
        for symbol, ids in sorted(places.items(), key=lambda item: (-counts[item[0]], item[0]))
    ]


def describe_unknown(report: Sequence[UnknownSymbol], most: int = 10) -> str:
    """The report as one sentence, the `most` frequent symbols spelt out; "" for an empty report."""
    parts = []
    for item in report[:most]:
        more = f" and {item.utterances - len(item.examples)} more" if item.utterances > len(item.examples) else ""
        parts.append(f"{_name(item.symbol)} {item.count}× in {', '.join(item.examples)}{more}")
    if len(report) > most:
        parts.append(f"and {len(report) - most} others")
    return f"Unknown to the tokenizer: {'; '.join(parts)}." if parts else ""


def describe_counts(counts: Mapping[str, int], most: int = 10) -> str:
    """Symbols with their counts, the frequent first, the `most` frequent spelt out: "'é' (U+00E9 ...) 4×, ..."."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{_name(symbol)} {count:,}×" for symbol, count in ordered[:most]]
    return ", ".join(parts) + (f" and {len(ordered) - most} others" if len(ordered) > most else "")


def _name(symbol: str) -> str:
    # A character is often one that looks like another or can't be seen.
    if len(symbol) > 1:
        return repr(symbol)
    return f"{symbol!r} (U+{ord(symbol):04X} {unicodedata.name(symbol, 'without a name')})"
