"""The names of symbols in messages."""

from __future__ import annotations

from speechrnn.text.symbols import describe_counts


def test_the_most_frequent_symbols_come_first() -> None:
    counts = {"b": 2, "é": 1_000, "whale": 2, "a": 2}
    assert describe_counts(counts, most=3) == (
        "'é' (U+00E9 LATIN SMALL LETTER E WITH ACUTE) 1,000×, 'a' (U+0061 LATIN SMALL LETTER A) 2×, "
        "'b' (U+0062 LATIN SMALL LETTER B) 2× and 1 other"
    )
    assert describe_counts({"whale": 2}) == "'whale' 2×"
