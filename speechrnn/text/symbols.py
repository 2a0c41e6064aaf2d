"""Symbols that all tokenizers share, and the names of symbols in messages."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from speechrnn.core.plural import count

BLANK = "<blank>"  # index 0 of every tokenizer
UNKNOWN = "<unk>"  # index 1 of word and subword tokenizers, and of a character tokenizer that has it


def describe_symbol(symbol: str) -> str:
    """Name a symbol in messages, a character with its code point, since many look alike or cannot be seen.

    >>> describe_symbol("é")
    "'é' (U+00E9 LATIN SMALL LETTER E WITH ACUTE)"
    """
    if len(symbol) > 1:
        return repr(symbol)
    return f"{symbol!r} (U+{ord(symbol):04X} {unicodedata.name(symbol, 'without a name')})"


def describe_counts(counts: Mapping[str, int], most: int = 10) -> str:
    """List the `most` frequent symbols with their counts: "'é' (U+00E9 ...) 4×, ..."."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{describe_symbol(symbol)} {number:,}×" for symbol, number in ordered[:most]]
    return ", ".join(parts) + (f" and {count(len(ordered) - most, 'other')}" if len(ordered) > most else "")
