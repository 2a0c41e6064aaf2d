"""Pronunciation dictionaries."""

from __future__ import annotations

import gzip
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


def test_phones_that_differ_in_case_or_tone_are_not_merged(tmp_path: Path) -> None:
    """X-SAMPA: s and S, a and A are sounds of their own; so are tones. No English ending is added."""
    path = tmp_path / "other.dict"
    path.write_text("bach b a x\nbahn b A n\nso s o\nscho S o\nma m a1\nma(2) m a2\n")
    pronunciations = Pronunciations.read(path)
    assert pronunciations.pronounce("bach") == (("b", "a", "x"),)
    assert pronunciations.pronounce("bahn") == (("b", "A", "n"),)
    assert len(pronunciations.pronounce("ma")) == 2
    assert set(pronunciations.symbols) == {"<blank>", " ", "b", "a", "x", "A", "n", "s", "o", "S", "m", "a1", "a2"}
    assert pronunciations.pronounce("bachs") == ()
    tokenizer = PhoneTokenizer(pronunciations)
    again = tokenizer_from_json(tokenizer.to_json())
    assert again.symbols == tokenizer.symbols and again.count_unknown("bachs")


def test_english_phones_in_both_cases_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "mixed.dict"
    path.write_text("cat K AE1 T\ncats k ae1 t s\nsofa S OW1 F AX0\n")
    pronunciations = Pronunciations.read(path)
    assert pronunciations.pronounce("cats") == (("K", "AE", "T", "S"),)
    assert pronunciations.pronounce("sofas") == (("S", "OW", "F", "AX", "Z"),)


@pytest.mark.parametrize("text", ["", "# nothing\n", "word\n"])
def test_a_file_without_pronunciations_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "empty.dict"
    path.write_text(text)
    with pytest.raises(UserError, match=r"^tokenizer\.pronunciations=.*empty\.dict has no pronunciation"):
        Pronunciations.read(path)
    with pytest.raises(UserError, match=r"^trainer\.pronunciations=.*missing\.dict cannot be read: No such file"):
        Pronunciations.read(tmp_path / "missing.dict", "trainer.pronunciations")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (DICTIONARY.encode("utf-16"), "a text in UTF-16"),
        (bytes(range(256)), "a binary file"),
        (b"PK\x03\x04" + DICTIONARY.encode(), "a zip archive"),
    ],
)
def test_a_file_of_another_kind_is_not_read_as_words(tmp_path: Path, content: bytes, kind: str) -> None:
    path = tmp_path / "words.dict"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"words.dict seems to be {kind}.*; give a dictionary with a word and its"):
        Pronunciations.read(path)


def test_a_packed_dictionary_is_unpacked_and_one_in_latin_1_is_read(tmp_path: Path) -> None:
    path = tmp_path / "words.dict"
    path.write_bytes(gzip.compress(DICTIONARY.encode()))
    assert Pronunciations.read(path).pronounce("dog") == (("D", "AO", "G"),)
    path.write_bytes("cat K AE1 T\nDÉJÀ D EY2".encode("latin-1"))
    assert Pronunciations.read(path).pronounce("cat") == (("K", "AE", "T"),)
