"""Pronunciations of words as phones, from a dictionary in the CMU dictionary's format."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from speechrnn.core.errors import UserError
from speechrnn.core.text_files import read_text
from speechrnn.text.symbols import BLANK

VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
STRESSED = frozenset({*VOWELS, "AX", "AXR", "IX", "UX"})  # phones that have a stress digit
VOICED = STRESSED | {"B", "D", "DH", "G", "L", "M", "N", "NG", "R", "V", "W", "Y"}
ARPABET = VOICED | {"CH", "F", "HH", "JH", "K", "P", "S", "SH", "T", "TH", "Z", "ZH"}
SIBILANTS = frozenset(["CH", "JH", "S", "SH", "Z", "ZH"])
FORM = "a dictionary with a word and its phones a line, as in `cat K AE1 T`"
MOST_PHONES = 100  # of a word; a line with more is no word's
SPACE = " "

Phones = tuple[str, ...]


class Pronunciations:
    """The pronunciations of each word, and the phones as a CTC alphabet whose index 0 is the blank.

    The last symbol is a space, between words, so that words can be read from phones as from characters.

    >>> pronunciations = Pronunciations({"cat": [("K", "AE", "T")]})
    >>> pronunciations.encode("cat")
    [2, 1, 4]
    >>> pronunciations.encode("cat's")  # a regular ending is pronounced by rule
    [2, 1, 4, 3]
    >>> pronunciations.encode("dog") is None
    True

    Attributes:
        words: pronunciations of each word in lower case, the most usual first.
        symbols: the blank, the phones in alphabetical order, the space.
        english: whether the phones are those of the CMU dictionary, so that the regular endings of English are known.
        index: of each symbol in `symbols`.
    """

    def __init__(self, words: Mapping[str, Sequence[Phones]], phones: Collection[str] = ()) -> None:
        """
        Args:
            words: pronunciations of each word in lower case, the most usual first.
            phones: of the alphabet, besides those in the words.
        """
        self.words = {word: tuple(pronunciations) for word, pronunciations in words.items()}
        pronounced = itertools.chain.from_iterable(self.words.values())
        phones = {*itertools.chain.from_iterable(pronounced), *phones}
        self.english = 2 * len(phones & ARPABET) > len(phones)
        if self.english:
            phones |= {"S", "Z"}
            phones |= {"IH"} if phones & SIBILANTS - {"S", "Z"} else set()
        self.symbols = (BLANK, *sorted(phones), SPACE)
        self.index = {phone: index for index, phone in enumerate(self.symbols)}

    @classmethod
    def read(cls, path: Path, key: str = "tokenizer.pronunciations") -> Pronunciations:
        """Read a dictionary: `WORD PHONE PHONE ...` a line, `WORD(2)` for a further pronunciation, `#` for a comment.

        The file may be packed by gzip or xz. Stress digits of English vowels and commas between phones are dropped.
        Phones are in upper case, unless some differ only in case, as in X-SAMPA.

        Args:
            path: the file.
            key: the config key that names the file, for messages.

        Raises:
            UserError: the file cannot be read, is no text, or has no pronunciation.
        """
        name = f"{key}={path}"
        lines = read_text(path, name, FORM, errors="replace").splitlines()  # cmudict 0.7b is in Latin-1
        words: dict[str, dict[Phones, None]] = {}
        for line in lines:
            word, *phones = line.split("#", 1)[0].split()[:MOST_PHONES] or [""]
            if word and phones and not line.startswith(";;;"):
                plain = re.sub(r"(?<=.)\(\d+\)$", "", word).lower()
                words.setdefault(plain, {})[tuple(map(_phone, phones))] = None
        if not words:
            raise UserError(f"{name} has no pronunciation; give {FORM}.")
        case = _case({phone for found in words.values() for phones in found for phone in phones})
        return cls({word: tuple(tuple(map(case, phones)) for phones in found) for word, found in words.items()})

    def pronounce(self, word: str) -> tuple[Phones, ...]:
        """Return the pronunciations of a word, the most usual first; none of an unknown one.

        An English possessive or plural that the dictionary lacks is that of its stem, with the regular ending.
        """
        if (found := self.words.get(word)) is not None or (found := self.words.get(word := word.lower())) is not None:
            return found
        for ending in ("'s", "s'", "s") if self.english else ():
            stems = self.words.get(word.removesuffix(ending)) if word.endswith(ending) else None
            if stems:
                return tuple(stem + _regular_ending(stem[-1]) for stem in stems)
        return ()

    def encode(self, text: str) -> list[int] | None:
        """Return the phones of a text as indices of `symbols`, a space between words; None where a word is unknown.

        Each word has its most usual pronunciation.
        """
        labels: list[int] = []
        for word in text.split():
            found = self.pronounce(word)
            if not found:
                return None
            labels += [self.index[SPACE]] if labels else []
            labels += [self.index[phone] for phone in found[0]]
        return labels


def _phone(text: str) -> str:
    """Return a phone without commas, an English vowel without its stress."""
    text = text.replace(",", "") or text.replace(",", "COMMA")
    plain = text.rstrip("012")
    return plain if plain.upper() in STRESSED else text


def _case(phones: Collection[str]) -> Callable[[str], str]:
    """Return the function that puts phones into upper case, or leaves them unchanged where some differ only in case."""
    upper = {phone.upper() for phone in phones}
    return str.upper if upper <= ARPABET or len(upper) == len(phones) else str


def _regular_ending(last: str) -> Phones:
    """Return the phones of the ending -s after a phone."""
    if last in SIBILANTS:
        return ("IH", "Z")
    return ("Z",) if last in VOICED else ("S",)
