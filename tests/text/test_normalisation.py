"""Text normalisation: each option by example, and a second normalisation that changes nothing."""

from __future__ import annotations

import unicodedata
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.core.errors import UserError
from speechrnn.text.normalisation import UNCHANGED, NormalisationOptions, model_normalisation, normalise

CONF = Path(__file__).parents[2] / "conf" / "normalisation"

every_option = st.builds(
    NormalisationOptions,
    case=st.sampled_from(["upper", "lower", "keep"]),
    unicode=st.sampled_from(["NFC", "NFKC", "none"]),
    punctuation=st.sampled_from(["keep", "remove"]),
    keep=st.sampled_from(["", "'", "'-·"]),
    straight_quotes=st.booleans(),
    collapse_spaces=st.booleans(),
)
# Characters for which the steps of a normalisation interact: accents, ligatures, dots, quotes, invisible characters,
# odd spaces, letters whose cases differ in number; and any other character.
awkward = st.text(
    st.sampled_from("aéİıßſΐŉΣςΩKÅǅᾳŉﬁ…´’“-' .\u00ad\u200b\u200d\ufeff\u0301\u0307\u0345\u00a0\u2028\t")
    | st.characters(exclude_categories=["Cs"])
)


@settings(max_examples=300)
@given(awkward, every_option)
def test_normalising_again_changes_nothing(text: str, options: NormalisationOptions) -> None:
    once = normalise(text, options)
    assert normalise(once, options) == once


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("Hello,  world!\n", NormalisationOptions(), "HELLO WORLD"),
        ("“Don’t,” she said: well-known", NormalisationOptions(case="lower"), "don't she said well known"),
        ("rock ’n’ roll", NormalisationOptions(keep=""), "ROCK N ROLL"),
        ("don’t", NormalisationOptions(straight_quotes=False, keep="’"), "DON’T"),
        ("l·l, 50 €", NormalisationOptions(case="keep", keep="·"), "l·l 50"),
        ("e\u0301 ﬁ", NormalisationOptions(case="keep"), "é ﬁ"),
        ("e\u0301 ﬁ", NormalisationOptions(case="keep", unicode="NFKC"), "é fi"),
        ("e\u0301", NormalisationOptions(case="keep", unicode="none"), "e\u0301"),
        ("A  <unk> B", NormalisationOptions("keep", "NFC", "keep", collapse_spaces=False), "A  <unk> B"),
        ("straße", NormalisationOptions(), "STRASSE"),
        # The upper case is a letter with two accents, of which the first composes in a second round.
        ("\u0390", NormalisationOptions(), "\u03aa\u0301"),
        ("hel\u00adlo wor\u200bld \ufeffyes", NormalisationOptions(), "HELLO WORLD YES"),
        ("\u200ego\u200f now\u2060", NormalisationOptions(case="keep", punctuation="keep"), "go now"),
        ("e\u00ad\u0301", NormalisationOptions(case="keep", punctuation="keep"), "é"),
        ("hel\u00adlo", NormalisationOptions(case="keep", unicode="none"), "hel\u00adlo"),
        # Persian and Hindi spelling needs the joiners.
        ("می\u200cخواهم", NormalisationOptions(), "می\u200cخواهم"),
        ("क्\u200dष", NormalisationOptions(), "क्\u200dष"),
        ("", NormalisationOptions(), ""),
        ("...", NormalisationOptions(), ""),
    ],
)
def test_each_option_by_example(text: str, options: NormalisationOptions, expected: str) -> None:
    assert normalise(text, options) == expected


@pytest.mark.parametrize("wrong", [{"case": "uper"}, {"unicode": "nfc"}, {"punctuation": "strip"}])
def test_a_wrong_choice_names_its_key(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=rf"normalisation\.{next(iter(wrong))} is .*choose one of"):
        NormalisationOptions(**wrong)


@given(awkward)
def test_only_the_joiners_of_all_invisible_characters_stay(text: str) -> None:
    left = {
        character for character in normalise(text, NormalisationOptions()) if unicodedata.category(character) == "Cf"
    }
    assert left <= {"\u200c", "\u200d"}


@given(awkward)
def test_unchanged_leaves_every_text_as_it_is(text: str) -> None:
    assert normalise(text, UNCHANGED) == text


def test_the_config_groups_are_the_options() -> None:
    none, standard = (
        NormalisationOptions(**yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8")))
        for name in ("none", "standard")
    )
    assert (none, standard) == (UNCHANGED, NormalisationOptions())


@settings(max_examples=20)
@given(every_option, st.sampled_from(["normalisation", "training"]))
def test_the_options_travel_in_the_description_of_a_model(options: NormalisationOptions, place: str) -> None:
    stored = asdict(options)
    description = {"normalisation": stored} if place == "normalisation" else {"training": {"normalisation": stored}}
    assert model_normalisation(description) == options


def test_a_model_without_stored_options_gets_the_default() -> None:
    for description in ({}, {"training": None}, {"training": {"epochs": 3}}):
        assert model_normalisation(description) == UNCHANGED
        assert model_normalisation(description, NormalisationOptions()) == NormalisationOptions()


@pytest.mark.parametrize("stored", [{"case": "uper"}, {"kase": "upper"}, "upper", {"keep": None}])
def test_damaged_options_are_refused(stored: Any) -> None:
    with pytest.raises(UserError, match="normalisation"):
        model_normalisation({"normalisation": stored})
