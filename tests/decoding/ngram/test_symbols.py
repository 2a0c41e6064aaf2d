"""Tests of the spelling of symbols in files of n-gram models."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.core.errors import UserError
from speechrnn.decoding.ngram.symbols import match_names, symbol, visible
from speechrnn.text.tokenizers import CharTokenizer, WordTokenizer


def test_symbols_are_spelt_visibly() -> None:
    spelt = {
        " ": "<space>",
        "\t": "<U+0009>",
        "\u00a0": "<U+00A0>",
        "é": "é",
        "|": "|",
        "▁the": "▁the",
        "<unk>": "<unk>",
    }
    assert {text: visible(text) for text in spelt} == spelt
    assert [symbol(name) for name in spelt.values()] == list(spelt)


@given(st.characters(exclude_categories=["Cs"]))
def test_every_character_has_a_name_that_stands_alone_and_comes_back(character: str) -> None:
    name = visible(character)
    assert name.split() == name.encode().decode().split() == [name]
    assert symbol(name) == character


def test_the_space_of_other_tools_is_understood() -> None:
    tokenizer = CharTokenizer.build([], "AB ")
    for space in ("<space>", "▁", "|"):
        assert match_names(["</s>", "<unk>", "B", space, "A", "X"], tokenizer, "m") == [0, -1, 2, 3, 1, -1]
    # Where the text has such a character of its own, it is no space.
    assert match_names(["</s>", "|", "<space>", "A"], CharTokenizer.build([], "|A "), "m") == [0, 1, 3, 2]
    with pytest.raises(UserError, match="no symbol for the space"):
        match_names(["</s>", "|", "A"], CharTokenizer.build([], "|A "), "m")


def test_models_of_another_kind_or_alphabet_are_refused() -> None:
    characters = CharTokenizer.build([], "ABC ")
    with pytest.raises(UserError, match=r"no symbol for the space .* it is no model of characters"):
        match_names(["</s>", "<unk>", "A", "B", "C", "ABBA"], characters, "words.arpa")
    with pytest.raises(UserError, match=r"lacks 2 of the tokenizer's symbols \('B', 'C'\) and has no <unk>"):
        match_names(["</s>", "A", "<space>"], characters, "few.arpa")
    with pytest.raises(UserError, match=r"knows none of the tokenizer's 2 symbols .*case is another"):
        match_names(["</s>", "<unk>", "the", "cat"], WordTokenizer.build(["THE CAT"]), "lower.arpa")
    assert match_names(["</s>", "<unk>", "A", "<space>"], characters, "few.arpa") == [0, -1, 1, 4]
