"""A tokenizer of phones: words are looked up in a pronunciation dictionary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from speechrnn.core.errors import UserError
from speechrnn.text.normalisation import NormalisationOptions
from speechrnn.text.pronunciations import SPACE, Phones, Pronunciations

BETWEEN = ", "  # pronunciations of a word, in JSON


class PhoneTokenizer:
    """One index for each phone, and a space between words.

    English spelling differs much from the pronunciation, so that a model learns phones from less speech than letters.
    The words come from a language model of words in the beam search (`scorers.word.WordScorer`), which also decides
    between words that sound alike; `decode` alone takes the first such word of the dictionary.

    >>> tokenizer = PhoneTokenizer(Pronunciations({"to": [("T", "UW")], "two": [("T", "UW")]}))
    >>> tokenizer.encode("two to")
    [2, 3, 5, 2, 3]
    >>> tokenizer.decode([2, 3, 5, 3, 2])  # phones that are no word are joined
    'to uw-t'
    """

    kind = "phone"
    normalisation: NormalisationOptions | None = None

    def __init__(self, pronunciations: Pronunciations, upper: bool = False) -> None:
        """
        Args:
            pronunciations: of the words.
            upper: whether words are written in upper case, and not in lower case.
        """
        self.pronunciations = pronunciations
        self.upper = upper
        self.symbols = list(pronunciations.symbols)
        self._space = len(self.symbols) - 1

    @cached_property
    def _words(self) -> dict[Phones, str]:
        """Return the first word of each pronunciation; a beam search over words does not need it."""
        words: dict[Phones, str] = {}
        for word, found in self.pronunciations.words.items():
            for phones in found:
                words.setdefault(phones, word)
        return words

    @classmethod
    def build(cls, texts: Iterable[str], path: Path) -> PhoneTokenizer:
        """Build a tokenizer from a dictionary; words are in upper case if the (normalised) texts are.

        Raises:
            UserError: see `Pronunciations.read`.
        """
        return cls(Pronunciations.read(path)).in_case_of(texts)

    def in_case_of(self, texts: Iterable[str]) -> PhoneTokenizer:
        """Return the tokenizer that writes words as the texts do: in upper case if all of them are."""
        return PhoneTokenizer(self.pronunciations, upper=all(text == text.upper() for text in texts))

    @property
    def unknown_index(self) -> None:
        """Return None: words without a pronunciation are refused."""
        return None

    def __len__(self) -> int:
        return len(self.symbols)

    def encode(self, text: str) -> list[int]:
        """Return the indices of the phones of each word's most usual pronunciation, and of the spaces between words.

        Raises:
            UserError: a word has no pronunciation.
        """
        labels = self.pronunciations.encode(text)
        if labels is None:
            unknown = ", ".join(self.count_unknown(text))
            raise UserError(f"The text {text[:40]!r} has words without a pronunciation ({unknown[:80]}); add them.")
        return labels

    def decode(self, ids: Sequence[int]) -> str:
        """Return the words of indices above 0."""
        if any(index < 1 for index in ids):
            raise ValueError("decode() takes indices above 0: remove the blanks first")
        return SPACE.join(map(self._word, self._split(ids)))

    def ends_in_part(self, ids: Sequence[int]) -> bool:
        """Return whether the phones after the last space spell no word: more of them may follow.

        >>> tokenizer = PhoneTokenizer(Pronunciations({"red": (("R", "EH", "D"),)}))
        >>> [tokenizer.ends_in_part(tokenizer.encode("red")[:count]) for count in (0, 1, 2, 3)]
        [False, True, True, False]
        """
        last = self._split(ids)[-1]
        return bool(last) and last not in self._words

    def count_unknown(self, text: str) -> Counter[str]:
        """Count the words without a pronunciation."""
        unknown = [word for word in text.split() if not self.pronunciations.pronounce(word)]
        return Counter(unknown) if unknown else Counter()  # called for each word of large vocabularies

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values from which `tokenizer_from_json` makes the tokenizer again."""
        # One string a word: dictionaries are large.
        words = {
            word: BETWEEN.join(SPACE.join(phones) for phones in found)
            for word, found in self.pronunciations.words.items()
        }
        return {"kind": self.kind, "upper": self.upper, "phones": self.symbols[1:-1], "words": words}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PhoneTokenizer:
        """Make a tokenizer from the result of `to_json`.

        Raises:
            KeyError, TypeError, ValueError: the values are not those of a tokenizer.
        """
        words, alphabet = data["words"], data["phones"]
        if not isinstance(words, dict) or not isinstance(data["upper"], bool):
            raise TypeError("words is no object, or upper is neither true nor false")
        if not isinstance(alphabet, list) or not all(
            isinstance(phone, str) and phone.split() == [phone] for phone in alphabet
        ):
            raise TypeError("phones is no list of phones")
        found: dict[str, tuple[Phones, ...]] = {}
        for word, pronunciations in words.items():
            if BETWEEN in pronunciations:
                found[word] = tuple(tuple(phones.split()) for phones in pronunciations.split(BETWEEN))
            else:  # most words; dictionaries are large
                found[word] = (tuple(pronunciations.split()),)
            if not all(found[word]):
                raise ValueError(f"the word {word[:40]!r} has an empty pronunciation")
        return cls(Pronunciations(found, alphabet), data["upper"])

    def _split(self, ids: Sequence[int]) -> list[Phones]:
        """Return the phones before, between and after the spaces."""
        words: list[list[str]] = [[]]
        for index in ids:
            if index == self._space:
                words.append([])
            else:
                words[-1].append(self.symbols[index])
        return [tuple(phones) for phones in words]

    def _word(self, phones: Phones) -> str:
        word = self._words.get(phones)
        if word is None:
            return "-".join(phones).lower()
        return word.upper() if self.upper else word
