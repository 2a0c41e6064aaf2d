"""Pronunciations by the rules of espeak-ng, in the phones of the CMU dictionary."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator

from speechrnn.core.errors import UserError
from speechrnn.data.corpora.espeak import open_library, start
from speechrnn.text.pronunciations import Phones

_BETWEEN = "_"  # phonemes
_MODE = ord(_BETWEEN) << 8  # espeak's own names of phonemes, separated
_UTF8 = 1
_MARKS = "',%=|:*!"  # stress and timing, before a phoneme
# espeak's names of the phonemes of American English, by the CMU dictionary's phones.
_NAMES = {
    "AA": "0 A:",
    "AA R": "A@",
    "AE": "a aa",
    "AH": "@ @- @2 @5 a# V",
    "AH L": "@L",
    "AH N": "n-",
    "AO": "O O: O2",
    "AO R": "O@ o@",
    "AW": "aU",
    "AW ER": "aU@",
    "AY": "aI",
    "AY AH": "aI@",
    "AY ER": "aI3",
    "CH": "tS",
    "DH": "D",
    "EH": "E e",
    "EH R": "e@",
    "ER": "3 3:",
    "EY": "eI",
    "HH": "h",
    "IH": "I I2 I#",
    "IH R": "i@3",
    "IY": "i i:",
    "IY AH": "i@",
    "JH": "dZ",
    "K": "k x",
    "L": "l l#",
    "NG": "N",
    "OW": "oU o",
    "OY": "OI",
    "R": "r r-",
    "SH": "S",
    "T": "t t# t2 ?",
    "TH": "T",
    "UH": "U",
    "UH R": "U@",
    "UW": "u u:",
    "Y": "j",
    "ZH": "Z",
    **{name.upper(): name for name in "bdfgmnpsvwz"},
}
_PHONES = {name: phones.split() for phones, names in _NAMES.items() for name in names.split()} | {";": [], "": []}


def pronounce(words: Iterable[str], voice: str = "en-us") -> Iterator[Phones | None]:
    """Yield the phones of each word; None where espeak-ng has no phones of the CMU dictionary for it.

    Of 3,000 words of the CMU dictionary 77 % are pronounced as it says, and 4.9 % of the phones are wrong.

    >>> next(pronounce(["chanticleer"]))  # doctest: +SKIP
    ('CH', 'AE', 'N', 'T', 'IH', 'K', 'L', 'IH', 'R')

    Args:
        words: each without spaces.
        voice: of American English.

    Raises:
        UserError: espeakng-loader is not installed, its data cannot be read, or the voice is unknown.
    """
    with open_library() as library:
        start(library)
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise UserError(f"espeak-ng has no voice {voice!r}; give en-us.")
        library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        for word in words:
            text = ctypes.c_char_p(word.encode())
            spoken = library.espeak_TextToPhonemes(ctypes.pointer(text), _UTF8, _MODE) or b""
            yield _translate(spoken.decode("utf-8", "replace"))


def _translate(spoken: str) -> Phones | None:
    """Return the CMU dictionary's phones of espeak's phonemes; None where one is none of them."""
    phones: list[str] = []
    for marked in spoken.split(_BETWEEN):
        name = marked.lstrip(_MARKS)
        name = name if name == ";" else name.replace(";", "")
        if name not in _PHONES:
            return None
        for phone in _PHONES[name]:
            if not (phone == "R" and phones and phones[-1] in ("R", "ER")):  # the r of "currant" is in its vowel
                phones.append(phone)
    return tuple(phones) or None
