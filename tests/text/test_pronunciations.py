"""Pronunciation dictionaries."""

from __future__ import annotations

from pathlib import Path

import pytest

from speechrnn.core.errors import UserError
from speechrnn.text.phone_tokenizer import PhoneTokenizer
from speechrnn.text.pronunciations import Pronunciations
from speechrnn.text.tokenizers import tokenizer_from_json

DICTIONARY = """;;; a comment
cat K AE1 T
cat(2) K AA1 T
dog D AO1 G # an animal
Bus B AH1 S
AIDE-DE-CAMP EY1 D D AH0 K AE1 M P
"""


@pytest.fixture
def pronunciations(tmp_path: Path) -> Pronunciations:
    path = tmp_path / "words.dict"
    path.write_text(DICTIONARY)
    return Pronunciations.read(path)


def test_it_reads_the_first_pronunciation_without_stress(pronunciations: Pronunciations) -> None:
    assert pronunciations.pronounce("CAT")[0] == ("K", "AE", "T")
    assert pronunciations.pronounce("bus")[0] == ("B", "AH", "S")
    assert pronunciations.symbols[0] == "<blank>"
    assert not any(symbol[-1].isdigit() for symbol in pronunciations.symbols)


@pytest.mark.parametrize(
    ("word", "ending"),
    [("cat's", ("S",)), ("cats", ("S",)), ("dogs", ("Z",)), ("dog's", ("Z",)), ("bus's", ("IH", "Z"))],
)
def test_regular_endings_follow_the_last_phone(
    pronunciations: Pronunciations, word: str, ending: tuple[str, ...]
) -> None:
    phones = pronunciations.pronounce(word)[0]
    assert phones[-len(ending) :] == ending


def test_a_text_is_encoded_as_a_whole_or_not_at_all(pronunciations: Pronunciations) -> None:
    labels = pronunciations.encode("cat dog")
    assert labels is not None
    assert [pronunciations.symbols[label] for label in labels] == ["K", "AE", "T", " ", "D", "AO", "G"]
    assert pronunciations.encode("cat zebra") is None
    assert 0 not in labels


def test_commas_are_no_phones_and_a_phone_of_digits_stays(tmp_path: Path) -> None:
    path = tmp_path / "other.dict"
    path.write_text("one W, AH1, N\ntwo t 2\n")
    pronunciations = Pronunciations.read(path)
    assert pronunciations.pronounce("one") == (("W", "AH", "N"),)
    assert pronunciations.pronounce("two") == (("T", "2"),)
    tokenizer = PhoneTokenizer(pronunciations)
    assert tokenizer_from_json(tokenizer.to_json()).symbols == tokenizer.symbols


@pytest.mark.parametrize("text", ["", "# nothing\n", "word\n"])
def test_a_file_without_pronunciations_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "empty.dict"
    path.write_text(text)
    with pytest.raises(UserError, match="no pronunciation"):
        Pronunciations.read(path)
    with pytest.raises(UserError, match="cannot be read"):
        Pronunciations.read(tmp_path / "missing.dict")
