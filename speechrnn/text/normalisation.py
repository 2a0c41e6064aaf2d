"""Text normalisation: case, Unicode form, punctuation, quotation marks, invisible characters and white space."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from speechrnn.core.config import build, check_choice

QUOTES = str.maketrans("‘’ʼ‛“”„‟", "''''\"\"\"\"")
JOINERS = "\u200c\u200d"  # zero width non-joiner and joiner: spelling in Persian, Hindi and other languages


@dataclass(frozen=True)
class NormalisationOptions:
    """Options of `normalise`.

    Attributes:
        case: "upper", "lower" or "keep".
        unicode: "NFC" composes letters and accents, "NFKC" also unfolds ligatures and full-width letters; both delete
            invisible characters (category Cf: soft hyphens, zero width spaces, direction and byte order marks) except
            `JOINERS`; or "none".
        punctuation: "remove" puts a space for each punctuation mark and symbol (categories P and S), so that
            "well-known" becomes two words; or "keep".
        keep: characters that "remove" leaves in place.
        straight_quotes: replace typographic apostrophes and quotation marks by ' and " (before "remove").
        collapse_spaces: replace each run of white space, line ends included, by one space, and strip both ends.

    Raises:
        UserError: a value outside its choices.

    >>> NormalisationOptions(case="lower").case
    'lower'
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


UNCHANGED = NormalisationOptions("keep", "none", "keep", straight_quotes=False, collapse_spaces=False)
"""The options with which `normalise` returns every text as it is."""


class _CharacterTable(dict[int, int | str | None]):
    """A table for `str.translate` that is filled with each character when it first occurs."""

    def __init__(self, categories: tuple[str, ...], replacement: str | None, keep: str) -> None:
        super().__init__({ord(character): character for character in keep})
        self._categories, self._replacement = categories, replacement

    def __missing__(self, code: int) -> int | str | None:
        matches = unicodedata.category(chr(code)).startswith(self._categories)
        self[code] = self._replacement if matches else code
        return self[code]


_INVISIBLE = _CharacterTable(("Cf",), None, keep=JOINERS)


@lru_cache
def _punctuation(keep: str) -> _CharacterTable:
    return _CharacterTable(("P", "S"), " ", keep)


def _normalise_once(text: str, options: NormalisationOptions) -> str:
    if options.unicode != "none":
        text = unicodedata.normalize(options.unicode, text.translate(_INVISIBLE))  # type: ignore[arg-type]
    if options.straight_quotes:
        text = text.translate(QUOTES)
    if options.case != "keep":
        text = text.upper() if options.case == "upper" else text.lower()
    if options.punctuation == "remove":
        text = text.translate(_punctuation(options.keep))
    return " ".join(text.split()) if options.collapse_spaces else text


def normalise(text: str, options: NormalisationOptions) -> str:
    """Normalise a text; normalising the result again changes nothing.

    >>> normalise("“Don’t,” she said: well-known.", NormalisationOptions())
    "DON'T SHE SAID WELL KNOWN"
    """
    # One step may give work to an earlier one (an upper-case letter may compose anew, a removed mark may bring letter
    # and accent together), so all steps are repeated. Plain ASCII is stable after one.
    while (result := _normalise_once(text, options)) != text and not result.isascii():
        text = result
    return result


def model_normalisation(
    description: Mapping[str, Any], default: NormalisationOptions = UNCHANGED
) -> NormalisationOptions:
    """Return the normalisation of a model's training text, by which text for the model is normalised too.

    Args:
        description: the content of `model.json`, which holds the options under "normalisation" or, in a language
            model, under "training".
        default: the options for a model that was stored without them.

    Raises:
        UserError: the stored options are damaged.

    >>> description = {"training": {"normalisation": {"case": "upper"}}}
    >>> normalise("sharks feed", model_normalisation(description))
    'SHARKS FEED'
    """
    stored = _stored(description)
    return default if stored is None else build(NormalisationOptions, stored, "normalisation")


def stores_normalisation(description: Mapping[str, Any]) -> bool:
    """Return whether a model's description holds the normalisation of its training text.

    >>> stores_normalisation({"normalisation": {"case": "upper"}}), stores_normalisation({})
    (True, False)
    """
    return _stored(description) is not None


def _stored(description: Mapping[str, Any]) -> Any:
    training = description.get("training")
    stored = description.get("normalisation")
    if stored is None and isinstance(training, Mapping):
        stored = training.get("normalisation")
    return stored
