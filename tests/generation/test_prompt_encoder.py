from __future__ import annotations

from typing import Any

import pytest
from helpers.generators import tokenizer

from speechrnn.core.errors import UserError
from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.prompt_encoder import PromptEncoder
from speechrnn.text.normalisation import NormalisationOptions
from speechrnn.text.tokenizers import CharTokenizer

CAPITALS = PromptEncoder(CharTokenizer.build([], " 'ABCDEF"), NormalisationOptions())


def test_lines_are_joined_by_the_end_of_line() -> None:
    encoder = PromptEncoder(CharTokenizer.build([], "ab"))
    assert encoder.encode("ab\n\na") == (1, 2, 0, 0, 1)
    assert encoder.encode("") == ()


@pytest.mark.parametrize("kind", ["char", "subword"])
def test_unknown_characters_are_named(kind: str) -> None:
    with pytest.raises(UserError, match=r"'a bäd\\ncab' holds 'ä' \(U\+00E4\), which the model does not know"):
        PromptEncoder(tokenizer(kind)).encode("a bäd\ncab")


def test_a_character_model_with_unknown_reads_every_prompt() -> None:
    tokens = CharTokenizer.build(["abab"], unknown=True)
    assert PromptEncoder(tokens).encode("açb") == tuple(tokens.encode("aéb")) and 1 in tokens.encode("é")
    with pytest.raises(UserError, match="holds 'c'"):
        PromptEncoder(CharTokenizer.build(["abab"])).encode("abc")


def test_unknown_words_are_encoded_as_such() -> None:
    encoder = PromptEncoder(tokenizer("word"))
    assert encoder.encode("ba zebra")[1] == 1
    prompt = encoder.prompt("ba", GenerationOptions(bad_words=("zebra", "be", "be bi")))
    assert prompt.bad_words == (encoder.encode("be"), encoder.encode("be bi"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a cab", "A CAB"),
        ("  a,  cab. ", "A CAB "),
        ("a cab.", "A CAB"),
        ("a \n\n cab", "A\n\nCAB"),
        ("", ""),
        ("?", ""),
        (" ", ""),
        ("a\n", "A\n"),
    ],
)
def test_prompts_are_normalised_as_the_training_text_was(text: str, expected: str) -> None:
    assert CAPITALS.normalise(text) == expected
    prompt = CAPITALS.prompt(text)
    assert prompt.text == text
    assert prompt.tokens == PromptEncoder(CAPITALS.tokenizer).encode(expected)


def test_stop_strings_and_bad_words_are_normalised_with_their_spaces() -> None:
    options = GenerationOptions(stop_strings=(" fed", "a ", " ", "\n\n", "é?", "."), bad_words=(" bad", "fed!", "?"))
    prompt = CAPITALS.prompt("a", options)
    assert prompt.options.stop_strings == (" FED", "A ", " ", "\n\n", "É")
    assert prompt.options.bad_words == (" BAD", "FED")
    assert prompt.bad_words == tuple(tuple(CAPITALS.tokenizer.encode(word)) for word in (" BAD", "FED"))


def test_without_a_normalisation_texts_and_options_stay_as_they_are() -> None:
    encoder = PromptEncoder(CharTokenizer.build([], " .ab"))
    options = GenerationOptions(stop_strings=(".",), bad_words=("b ",))
    prompt = encoder.prompt("a  b ", options)
    assert prompt.options == options and len(prompt.tokens) == 5


def test_running_text_goes_on_after_a_line_end_unless_told_otherwise() -> None:
    characters = CharTokenizer.build([], "ab")
    for running, given, expected in (
        (True, None, True),
        (True, False, False),
        (False, None, None),
        (False, True, True),
    ):
        encoder = PromptEncoder(characters, running_text=running)
        assert encoder.prompt("a", GenerationOptions(ignore_eos=given)).options.ignore_eos is expected


@pytest.mark.parametrize("text", [None, 5, b"A", ["A"]])
def test_what_is_no_text_is_named(text: Any) -> None:
    encoder = PromptEncoder(tokenizer("char"))
    for call in (encoder.prompt, encoder.encode):
        with pytest.raises(UserError, match=f"not a {type(text).__name__}"):
            call(text)
