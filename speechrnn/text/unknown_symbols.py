"""Report of the characters or words of a corpus that a tokenizer lacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from speechrnn.core.plural import count
from speechrnn.text.symbols import describe_symbol
from speechrnn.text.tokenizers import Tokenizer


@dataclass(frozen=True)
class UnknownSymbol:
    """A character or word that a tokenizer lacks.

    Attributes:
        symbol: the character or word.
        count: how often it occurs.
        utterances: in how many utterances.
        examples: ids of the first of them.
    """

    symbol: str
    count: int
    utterances: int
    examples: tuple[str, ...]


def count_unknown_symbols(
    tokenizer: Tokenizer, texts: Iterable[tuple[str, str]], examples: int = 3
) -> list[UnknownSymbol]:
    """Count the symbols outside a tokenizer.

    Args:
        tokenizer: with `count_unknown`.
        texts: (utterance id, text) pairs.
        examples: ids that are named for each symbol at most.

    Returns:
        the unknown symbols, the most frequent first.
    """
    counts: Counter[str] = Counter()
    places: dict[str, list[str]] = {}
    for identity, text in texts:
        unknown = tokenizer.count_unknown(text)
        counts.update(unknown)
        for symbol in unknown:
            places.setdefault(symbol, []).append(identity)
    return [
        UnknownSymbol(symbol, counts[symbol], len(ids), examples=tuple(ids[:examples]))
        for symbol, ids in sorted(places.items(), key=lambda item: (-counts[item[0]], item[0]))
    ]


def describe_unknown(report: Sequence[UnknownSymbol], most: int = 10) -> str:
    """Write the result of `count_unknown_symbols` as one sentence that names the `most` frequent; "" if it is empty."""
    parts = []
    for item in report[:most]:
        more = f" and {item.utterances - len(item.examples)} more" if item.utterances > len(item.examples) else ""
        parts.append(f"{describe_symbol(item.symbol)} {item.count}× in {', '.join(item.examples)}{more}")
    if len(report) > most:
        parts.append(f"and {count(len(report) - most, 'other')}")
    return f"Unknown to the tokenizer: {'; '.join(parts)}." if parts else ""
