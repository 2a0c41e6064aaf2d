"""Boosts of hot words: kept by whole words only, letter by letter."""

from __future__ import annotations

import math

import pytest
from helpers.scorers import CHARS, SUBWORDS, WHOLE, WORDS, total
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.core.errors import UserError
from speechrnn.decoding.scorers.hot_words import HotWords
from speechrnn.text.tokenizers import CharTokenizer, Tokenizer

HOT = {"the": 3.0, "then": 5.0, "he cat": 4.0, "cat a": 2.0, "at": -1.0}


def boosts_in(text: str) -> float:
    """The boosts of all hot words in a text, looked for one by one."""
    words = text.split()
    return sum(
        boost
        for phrase, boost in HOT.items()
        for place in range(len(words))
        if words[place : place + len(phrase.split())] == phrase.split()
    )


@pytest.mark.parametrize("tokenizer", [CHARS, SUBWORDS, WHOLE], ids=lambda tokenizer: tokenizer.kind)
@given(words=st.lists(st.sampled_from([*WORDS, "at", "th", "cate", "hen"]), max_size=6))
@settings(max_examples=60)
def test_a_text_keeps_the_boosts_of_its_hot_words_and_no_others(tokenizer: Tokenizer, words: list[str]) -> None:
    if tokenizer is WHOLE:
        words = [word for word in words if not tokenizer.count_unknown(word)]
        hot = {phrase: boost for phrase, boost in HOT.items() if not tokenizer.count_unknown(phrase)}
        assert hot.keys() == HOT.keys() - {"at"}
    scorer = HotWords(hot if tokenizer is WHOLE else HOT, tokenizer)
    text = " ".join(words)
    assert total(scorer, tokenizer.encode(text)) == pytest.approx(boosts_in(text), abs=1e-4)


def test_a_boost_comes_letter_by_letter_and_goes_when_the_word_breaks_off() -> None:
    scorer = HotWords({"then": 4.0}, CHARS)
    assert [total(scorer, CHARS.encode(text), finish=False) for text in ("t", "th", "the", "then")] == [1, 2, 3, 4]
    for text, expected in (
        ("then", 4),
        ("then ", 4),
        ("then a", 4),
        ("the", 0),
        ("thena", 0),
        ("athen", 0),
        ("th a", 0),
    ):
        assert total(scorer, CHARS.encode(text)) == pytest.approx(expected, abs=1e-5), text
    assert total(scorer, CHARS.encode("thena"), finish=False) == pytest.approx(0, abs=1e-5)


def test_a_second_space_breaks_no_phrase_and_pays_no_boost_twice() -> None:
    scorer = HotWords({"he cat": 4.0}, CHARS)
    for text in ("he  cat", "  he cat", "he cat   "):
        assert total(scorer, CHARS.encode(text)) == pytest.approx(4, abs=1e-5), text


def test_a_hot_word_is_found_however_it_is_cut_into_pieces() -> None:
    index = {piece: label for label, piece in enumerate(SUBWORDS.symbols)}
    scorer = HotWords({"that": 2.0}, SUBWORDS)
    assert total(scorer, [index[letter] for letter in "▁that▁he"]) == pytest.approx(2, abs=1e-5)
    assert total(scorer, SUBWORDS.encode("that he")) == pytest.approx(2, abs=1e-5)


def test_unk_ends_no_hot_word() -> None:
    tokenizer = CharTokenizer.build([], " acehnt", unknown=True)
    scorer = HotWords({"the": 2.0}, tokenizer)
    assert total(scorer, [*tokenizer.encode("the"), 1]) == pytest.approx(0, abs=1e-5)
    assert total(scorer, [*tokenizer.encode("the "), 1]) == pytest.approx(2, abs=1e-5)


def test_hot_words_outside_the_alphabet_are_named() -> None:
    with pytest.raises(UserError, match=r"hot words \('tété'\) need 'é' \(U\+00E9.*which the acoustic model can't"):
        HotWords({"tété": 1.0, "cat": 1.0}, CHARS)
    with pytest.raises(UserError, match="boost of the hot word 'cat' is nan"):
        HotWords({"cat": math.nan}, CHARS)
    for words in ({"": 1.0}, {" ": 1.0, "cat": 1.0}):
        with pytest.raises(UserError, match="hot_words has an empty entry"):
            HotWords(words, CHARS)
    with pytest.raises(UserError, match="There are no hot words"):
        HotWords({}, CHARS)
