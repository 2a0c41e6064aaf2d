"""The report of characters and words that a tokenizer lacks."""

from __future__ import annotations

from speechrnn.text.tokenizers import CharTokenizer, WordTokenizer
from speechrnn.text.unknown_symbols import UnknownSymbol, count_unknown_symbols, describe_unknown


def test_unknown_symbols_are_reported_with_counts_and_utterances() -> None:
    texts = [("u1", "naïve café"), ("u2", "cafés"), ("u3", "plain"), ("u4", "éé\u200b")]
    tokenizer = CharTokenizer.build([], alphabet="abcdefghijklmnopqrstuvwxyz ")
    report = count_unknown_symbols(tokenizer, texts, examples=2)
    assert report == [
        UnknownSymbol("é", 4, 3, examples=("u1", "u2")),
        UnknownSymbol("ï", 1, 1, examples=("u1",)),
        UnknownSymbol("\u200b", 1, 1, examples=("u4",)),
    ]
    assert describe_unknown(report, most=2) == (
        "Unknown to the tokenizer: 'é' (U+00E9 LATIN SMALL LETTER E WITH ACUTE) 4× in u1, u2 and 1 more; "
        "'ï' (U+00EF LATIN SMALL LETTER I WITH DIAERESIS) 1× in u1; and 1 other."
    )
    assert "U+200B ZERO WIDTH SPACE" in describe_unknown(report)
    assert describe_unknown(count_unknown_symbols(tokenizer, [("u3", "plain")])) == ""
    assert describe_unknown(count_unknown_symbols(WordTokenizer.build(["a"]), [("u", "a whale")])).endswith(
        "'whale' 1× in u."
    )
