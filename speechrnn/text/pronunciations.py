"""Pronunciations of words as phones, from a dictionary in the CMU dictionary's format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from speechrnn.core.errors import UserError

VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
VOICED = frozenset({*VOWELS, "B", "D", "DH", "G", "L", "M", "N", "NG", "R", "V", "W", "Y"})
SIBILANTS = frozenset(["CH", "JH", "S", "SH", "Z", "ZH"])


class Pronunciations:
    """The first pronunciation of each word, and the phones as a CTC alphabet whose index 0 is the blank.

    The last symbol is a space, between words, so that words can be read from phones as from characters.

    >>> pronunciations = Pronunciations({"cat": ("K", "AE", "T")})
    >>> pronunciations.encode("cat")
    [2, 1, 4]
    >>> pronunciations.encode("cat's")  # a regular ending is pronounced by rule
    [2, 1, 4, 3]
    >>> pronunciations.encode("dog") is None
    True

    Attributes:
        words: phones of each word in lower case.
        symbols: the blank, the phones in alphabetical order, the space.
    """

    def __init__(self, words: Mapping[str, tuple[str, ...]]) -> None:
        self.words = dict(words)
        phones = {phone for word in self.words.values() for phone in word} | {"S", "Z"}
        phones |= {"IH"} if phones & SIBILANTS - {"S", "Z"} else set()
        self.symbols = ("<blank>", *sorted(phones), " ")
        self._index = {phone: index for index, phone in enumerate(self.symbols)}

    @classmethod
    def read(cls, path: Path) -> Pronunciations:
        """Read a dictionary: `WORD PHONE PHONE ...` a line, `WORD(2)` for a further pronunciation, `#` for a comment.

        Stress digits of vowels are dropped.

        Raises:
            UserError: the file cannot be read, or has no pronunciation.
        """
        try:
            lines = path.read_text("utf-8", errors="replace").splitlines()
        except OSError as error:
            raise UserError(f"The pronunciations {path} cannot be read: {error.strerror}.") from error
        words: dict[str, tuple[str, ...]] = {}
        for line in lines:
            word, *phones = line.split("#", 1)[0].split()[:100] or [""]
            if word and phones and not line.startswith(";;;"):
                words.setdefault(word.lower(), tuple(phone.rstrip("012").upper() for phone in phones))
        if not words:
            raise UserError(f"{path} has no pronunciation; each line needs a word and its phones, as in `cat K AE1 T`.")
        return cls(words)

    def pronounce(self, word: str) -> tuple[str, ...] | None:
        """Return the phones of a word; None for an unknown one.

        A possessive or plural that the dictionary lacks is that of its stem, with the regular ending.
        """
        word = word.lower()
        if (phones := self.words.get(word)) is not None:
            return phones
        for ending in ("'s", "s'", "s"):
            stem = self.words.get(word.removesuffix(ending)) if word.endswith(ending) else None
            if stem:
                if stem[-1] in SIBILANTS:
                    return (*stem, "IH", "Z")
                return (*stem, "Z" if stem[-1] in VOICED else "S")
        return None

    def encode(self, text: str) -> list[int] | None:
        """Return the phones of a text as indices of `symbols`; None where a word is unknown."""
        labels: list[int] = []
        for word in text.split():
            labels += [self._index[" "]] if labels else []
            phones = self.pronounce(word)
            if phones is None:
                return None
            labels += [self._index[phone] for phone in phones]
        return labels
