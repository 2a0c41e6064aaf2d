"""Word lists and pronouncing dictionaries as lexica."""

from __future__ import annotations

from pathlib import Path

import pytest

from speechrnn.core.errors import UserError
from speechrnn.decoding.scorers.lexicon import Lexicon
from speechrnn.decoding.scorers.word_list import match_case, read_word_list, spell
from speechrnn.text.normalisation import NormalisationOptions
from speechrnn.text.tokenizers import CharTokenizer

TOKENIZER = CharTokenizer.build([], "ABCDEFGHIJKLMNOPQRSTUVWXYZ' ")


def listed(folder: Path, content: str | bytes) -> list[str]:
    path = folder / "words.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_word_list(path, TOKENIZER)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("THE\nCAT\n\nTHE\n", ["THE", "CAT"]),
        ("\ufeffThe\r\ncat\r\n", ["THE", "CAT"]),  # a byte order mark; another case
        (";;; comment\nREAD  R EH1 D\nREAD(2)  R IY1 D\nA AH0\n", ["READ", "A"]),
        ("aalen AE1 L AH0 N # place, german\n'bout B AW1 T\n", ["AALEN", "'BOUT"]),
        ("ADA\tein Name\nEVE(2)\tx y\n", ["ADA", "EVE"]),
        ("CAF\u00c9\nTHE\nCAT\n", ["THE", "CAT"]),  # what the model cannot write is left out
    ],
)
def test_words_of_lists_and_dictionaries(tmp_path: Path, content: str, expected: list[str]) -> None:
    assert listed(tmp_path, content) == expected


def test_words_are_normalised_as_the_transcripts_were(tmp_path: Path) -> None:
    """Without the model's normalisation a typographic apostrophe or a hyphen makes a word unwritable."""
    tokenizer = CharTokenizer.build([], "ABCDEFGHIJKLMNOPQRSTUVWXYZ' ")
    assert spell("O\u2019Brien", tokenizer) is None and spell("well-known", tokenizer) is None
    tokenizer.normalisation = NormalisationOptions()
    assert spell("O\u2019Brien", tokenizer) == "O'BRIEN" and spell("well-known", tokenizer) == "WELL KNOWN"
    assert spell("...", tokenizer) is None and spell("\u4e00", tokenizer) is None
    (tmp_path / "words.txt").write_text("O\u2019Brien\nwell-known\nknown\n", encoding="utf-8")
    assert read_word_list(tmp_path / "words.txt", tokenizer) == ["O'BRIEN", "WELL", "KNOWN"]


def test_a_model_of_mixed_case_takes_words_as_they_are() -> None:
    tokenizer = CharTokenizer.build([], "ABCabc ")
    tokenizer.normalisation = NormalisationOptions(case="keep")
    assert spell("Abba", tokenizer) == "Abba"


def test_words_that_the_model_can_write_stay_as_they_are() -> None:
    mixed = CharTokenizer.build([], "ABCabc' ")
    assert match_case(["<blank>", "<unk>", "Abba", "cab"], mixed) == ["<blank>", "<unk>", "Abba", "cab"]
    assert match_case(["<blank>", "cab", "BAC", "abc"], CharTokenizer.build([], "ABC ")) == [
        "<blank>",
        "CAB",
        "BAC",
        "ABC",
    ]
    assert match_case(["<blank>", "CAB", "x"], CharTokenizer.build([], "abc ")) == ["<blank>", "cab", "x"]


def test_the_cmu_dictionary_is_a_lexicon(shared: Path) -> None:
    words = read_word_list(shared / "cmudict" / "cmudict.dict", TOKENIZER)
    assert 120_000 < len(words) < 135_166 and len(set(words)) == len(words)
    assert {"SHARK", "READ", "'BOUT"} <= set(words) and not [word for word in words if "(" in word]
    assert len(Lexicon(words, TOKENIZER).tree.words) == len(words)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "holds no words"),
        ("CAT\nNEW YORK\n", "words.txt, line 2 holds several words"),
        ("\u4e00\n\u4e8c\nA\n", "only 1 of the 3 words"),
        (b"CAT\0\0\0", "seems to be a binary file"),
        (b"CAF\xe9", "no UTF-8"),
    ],
)
def test_a_damaged_lexicon_is_one_sentence(tmp_path: Path, content: str | bytes, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as error:
        listed(tmp_path, content)
    assert "\n" not in str(error.value)
