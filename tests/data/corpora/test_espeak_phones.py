"""Pronunciations by espeak-ng, in the CMU dictionary's phones."""

from __future__ import annotations

import pytest

from speechrnn.core.errors import UserError
from speechrnn.data.corpora import espeak
from speechrnn.data.corpora.espeak_phones import pronounce
from speechrnn.text.pronunciations import VOICED

CMU = VOICED | {"CH", "F", "JH", "HH", "K", "P", "S", "SH", "T", "TH", "Z", "ZH"}


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("cat", "K AE T"),
        ("thing", "TH IH NG"),
        ("measure", "M EH ZH ER"),
        ("church", "CH ER CH"),
        ("judge", "JH AH JH"),
        ("boy", "B OY"),
        ("house", "HH AW S"),
        ("father", "F AA DH ER"),
        ("currant", "K ER AH N T"),  # espeak writes the r of the vowel once more
        ("bewildering", "B IH W IH L D ER IH NG"),
        ("chanticleer", "CH AE N T IH K L IH R"),
        ("button", "B AH T AH N"),
        ("kerfoot's", "K ER F UH T S"),
    ],
)
def test_words_have_the_phones_of_american_english(word: str, phones: str) -> None:
    assert list(pronounce([word])) == [tuple(phones.split())]


def test_words_come_in_order_with_the_dictionarys_phones_alone_or_none() -> None:
    words = ["utrecht", "a", "", "'", "x" * 300, "naïve", "дом", "gipsy", "yes"]
    found = list(pronounce(words))
    assert len(found) == len(words) and found[0] is None and found[2] is None  # ch in Utrecht is no English sound
    assert all(phones is None or (phones and set(phones) <= CMU) for phones in found)
    assert found[words.index("yes")] == ("Y", "EH", "S")


def test_the_same_words_have_the_same_phones_after_speech() -> None:
    before = list(pronounce(["tomato", "record"]))
    espeak.speak("Good morning.", "en-gb-scotland")
    assert list(pronounce(["record", "tomato"]))[::-1] == before


def test_an_unknown_voice_is_refused() -> None:
    with pytest.raises(UserError, match="en-xx"):
        next(pronounce(["cat"], "en-xx"))
