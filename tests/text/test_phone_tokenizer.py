"""Phones as the symbols of an acoustic model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from speechrnn.core.errors import UserError
from speechrnn.text.phone_tokenizer import PhoneTokenizer
from speechrnn.text.tokenizers import TokenizerOptions, build_tokenizer, tokenizer_from_json

DICTIONARY = "the DH AH0\nthe(2) DH IY0\ntwo T UW1\nto T UW1\nto(2) T AH0\ncat K AE1 T\n"


@pytest.fixture
def dictionary(tmp_path: Path) -> Path:
    path = tmp_path / "words.dict"
    path.write_text(DICTIONARY)
    return path


def test_a_text_becomes_the_first_pronunciations_and_spaces(dictionary: Path) -> None:
    tokenizer = PhoneTokenizer.build(["the cat"], dictionary)
    labels = tokenizer.encode("the cats to")
    symbols = [tokenizer.symbols[label] for label in labels]
    assert symbols == ["DH", "AH", " ", "K", "AE", "T", "S", " ", "T", "UW"]
    assert tokenizer.decode(tokenizer.encode("the cat")) == "the cat"


def test_every_pronunciation_is_read_and_other_phones_are_shown(dictionary: Path) -> None:
    tokenizer = PhoneTokenizer.build(["the cat"], dictionary)
    index = {symbol: number for number, symbol in enumerate(tokenizer.symbols)}
    labels = [index[symbol] for symbol in ("DH", "IY", " ", "T", "AE", "K")]
    assert tokenizer.decode(labels) == "the t-ae-k"
    assert tokenizer.decode([index[" "]]).strip() == ""


def test_words_are_written_in_the_case_of_the_texts(dictionary: Path) -> None:
    tokenizer = PhoneTokenizer.build(["THE CAT", "TWO"], dictionary)
    assert tokenizer.decode(tokenizer.encode("THE CAT")) == "THE CAT"


def test_words_without_a_pronunciation_are_counted_and_refused(dictionary: Path) -> None:
    tokenizer = PhoneTokenizer.build(["the cat"], dictionary)
    assert tokenizer.count_unknown("the zebra zebra") == {"zebra": 2}
    with pytest.raises(UserError, match="zebra"):
        tokenizer.encode("the zebra")


def test_it_survives_json(dictionary: Path) -> None:
    tokenizer = PhoneTokenizer.build(["THE CAT"], dictionary)
    again = tokenizer_from_json(json.loads(json.dumps(tokenizer.to_json())))
    assert again.symbols == tokenizer.symbols
    assert again.decode(again.encode("THE TWO CATS")) == tokenizer.decode(tokenizer.encode("THE TWO CATS"))
    assert again.to_json() == tokenizer.to_json()


@pytest.mark.parametrize(
    "damage",
    [
        {"words": None},
        {"words": {"cat": None}},
        {"words": {"cat": ""}},
        {"words": {"cat": "K AE T, "}},
        {"words": {"cat": ["K AE T"]}},
        {"words": {"cat": [3]}},
        {"upper": "yes"},
        {"phones": "K"},
        {"phones": ["K T"]},
        {"phones": [None]},
    ],
)
def test_a_damaged_description_is_refused(dictionary: Path, damage: dict[str, Any]) -> None:
    data = {**PhoneTokenizer.build(["the"], dictionary).to_json(), **damage}
    with pytest.raises(UserError, match="damaged"):
        tokenizer_from_json(data)
    for key in damage:
        with pytest.raises(UserError, match="damaged"):
            tokenizer_from_json({name: value for name, value in data.items() if name != key})


def test_the_dictionary_is_an_option_of_phones_only(dictionary: Path) -> None:
    assert build_tokenizer(TokenizerOptions("phone", pronunciations=dictionary), ["the"]).kind == "phone"
    with pytest.raises(UserError, match="needs tokenizer"):
        build_tokenizer(TokenizerOptions("phone"), ["the"])
    with pytest.raises(UserError, match="no effect"):
        TokenizerOptions("char", pronunciations=dictionary)
