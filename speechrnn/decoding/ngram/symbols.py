"""Spell a tokenizer's symbols in the files of n-gram models, where white space separates words.

- END OF LINE, index 0, is `</s>` where it is predicted and `<s>` where it begins a line; `<unk>` is `<unk>`.
- The space is `<space>`. Read as a space as well, where the file has no `<space>` and the tokenizer no such character:
  `▁` and `|`, which other tools write.
- Any other character that can't be seen is its code: `<U+0009>` is the tabulator.
- All else stands for itself: characters, words, and subwords with their `▁`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from speechrnn.core.errors import UserError
from speechrnn.text.tokenizers import UNKNOWN, Tokenizer

BEGIN, END = "<s>", "</s>"
SPACE = "<space>"
OTHER_SPACES = ("▁", "|")  # of sentencepiece, and of wav2letter and flashlight


def visible(symbol: str) -> str:
    """Return a tokenizer's symbol as an ARPA file spells it."""
    if symbol == " ":
        return SPACE
    return f"<U+{ord(symbol):04X}>" if len(symbol) == 1 and not symbol.isprintable() else symbol


def symbol(name: str) -> str:
    """Return the tokenizer's symbol for the spelling in an ARPA file; the inverse of `visible`."""
    if name == SPACE:
        return " "
    code = re.fullmatch(r"<U\+([0-9A-F]{4,6})>", name)
    return chr(int(code[1], 16)) if code and int(code[1], 16) < 0x110000 else name


def match_names(names: Sequence[str], tokenizer: Tokenizer, source: str) -> list[int]:
    """Return the tokenizer's index of each name of `Ngrams.names`, -1 where it has none.

    Raises:
        UserError: the names share no symbol with the tokenizer; or they lack a symbol and have no `<unk>` in its place.
    """
    index = {visible(symbol): number for number, symbol in enumerate(tokenizer.symbols) if number}
    known = set(names)
    if SPACE in index and SPACE not in known:
        spaces = {other: index[SPACE] for other in OTHER_SPACES if other not in index}
        index |= spaces
        if known.isdisjoint(spaces):
            raise UserError(
                f"{source} has no symbol for the space ({SPACE}, {' or '.join(OTHER_SPACES)}), so it is no model of "
                "characters; use it as a model of words, or give one of characters."
            )
    tokens = [0, *[index.get(name, -1) for name in names[1:]]]
    missing = missing_symbols(tokens, tokenizer)
    if len(missing) == len(tokenizer) - 1 - (UNKNOWN in tokenizer.symbols):
        raise UserError(
            f"{source} knows none of the tokenizer's {len(missing)} symbols ({_some(missing)}): it is of another kind, "
            "or its case is another; give a model made from text that was normalised and split in the same way."
        )
    if missing and UNKNOWN not in known:
        raise UserError(
            f"{source} lacks {len(missing)} of the tokenizer's symbols ({_some(missing)}) and has no {UNKNOWN} for "
            "them; give a model made from text normalised in the same way, and with all symbols in it."
        )
    return tokens


def missing_symbols(tokens: Sequence[int], tokenizer: Tokenizer) -> list[str]:
    """Return the symbols of the tokenizer, other than `<unk>`, that are not among `tokens`."""
    present = set(tokens)
    return [
        symbol
        for number, symbol in enumerate(tokenizer.symbols)
        if number and number not in present and symbol != UNKNOWN
    ]


def _some(symbols: Sequence[str], most: int = 10) -> str:
    more = f" and {len(symbols) - most} more" if len(symbols) > most else ""
    return ", ".join(map(repr, symbols[:most])) + more
