"""Text normalisation: case, Unicode form, punctuation, quotation marks and white space."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from speechrnn.core.config import check_choice

QUOTES = str.maketrans("‘’ʼ‛“”„‟", "''''\"\"\"\"")


@dataclass(frozen=True)
class NormalisationOptions:
    """What is done to a text before it is tokenized or scored.

    Attributes:
        case: "upper", "lower" or "keep".
        unicode: "NFC" composes letters and accents, "NFKC" also unfolds ligatures and full-width letters, or "none".
        punctuation: "remove" puts a space for each punctuation mark and symbol (Unicode categories P and S), so that
            "well-known" stays two words; or "keep".
        keep: the characters that "remove" spares.
        straight_quotes: typographic apostrophes and quotation marks become ' and " (before "remove").
        collapse_spaces: runs of white space, line ends included, become one space; none at either end.
    """

    case: str = "upper"
    unicode: str = "NFC"
    punctuation: str = "remove"
    keep: str = "'"
    straight_quotes: bool = True
    collapse_spaces: bool = True

    def __post_init__(self) -> None:
        check_choice("normalisation.case", self.case, "upper", "lower", "keep")
        check_choice("normalisation.unicode", self.unicode, "NFC", "NFKC", "none")
        check_choice("normalisation.punctuation", self.punctuation, "keep", "remove")


class _Removal(dict[int, int | str]):
    """A table for `str.translate` that learns each character's category when it first meets it."""

    def __missing__(self, code: int) -> int | str:
        self[code] = " " if unicodedata.category(chr(code))[0] in "PS" else code
        return self[code]


@lru_cache
def _removal(keep: str) -> _Removal:
    return _Removal({ord(character): character for character in keep})


def _normalise_once(text: str, options: NormalisationOptions) -> str:
    if options.unicode != "none":
        text = unicodedata.normalize(options.unicode, text)  # type: ignore[arg-type]
    if options.straight_quotes:
        text = text.translate(QUOTES)
    if options.case != "keep":
        text = text.upper() if options.case == "upper" else text.lower()
    if options.punctuation == "remove":
        text = text.translate(_removal(options.keep))
    return " ".join(text.split()) if options.collapse_spaces else text


def normalise(text: str, options: NormalisationOptions) -> str:
    """`text` as the options ask; to normalise the result again changes nothing."""
    # The steps feed each other (an upper-case letter may compose anew, a removed mark may bring letter and accent
    # together), hence the rounds. Plain ASCII is stable after one.
    while (result := _normalise_once(text, options)) != text and not result.isascii():
        text = result
    return result
