"""Tests of a completion while it is generated: where it ends, its text, and its random numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.core.errors import UserError
from speechrnn.generation.detokenizer import Detokenizer
from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.results import Prompt
from speechrnn.generation.sequence import TokenSequence, next_uniforms
from speechrnn.text.tokenizers import CharTokenizer

TOKENIZER = CharTokenizer.build([], "abc ")
DETOKENIZER = Detokenizer(TOKENIZER)


def start(prompt: str = "a", number: int = 0, **options: Any) -> TokenSequence:
    chosen = GenerationOptions(**options)
    return TokenSequence.start(Prompt(0, prompt, tuple(TOKENIZER.encode(prompt)), options=chosen), DETOKENIZER, number)


def write(sequence: TokenSequence, text: str) -> TokenSequence:
    """Add the tokens of a text until the sequence is finished; a newline ends the line."""
    for token in [0 if letter == "\n" else TOKENIZER.encode(letter)[0] for letter in text]:
        if not sequence.finished:
            sequence.add(token, -0.5)
    return sequence


@pytest.mark.parametrize(
    ("written", "options", "text", "reason"),
    [
        ("bc\nab", {}, "bc", "eos"),
        ("bc\nab", {"ignore_eos": True, "max_new_tokens": 5}, "bc\nab", "length"),
        ("bcab", {"max_new_tokens": 2}, "bc", "length"),
        ("bcabc", {"stop_strings": ("ca",)}, "bca", "stop"),
        ("bcabc", {"stop_strings": ("ab",)}, "bcab", "stop"),
    ],
)
def test_where_a_completion_ends(written: str, options: dict[str, Any], text: str, reason: str) -> None:
    completion = write(start(**options), written).completion()
    assert (completion.text, completion.finish_reason) == (text, reason)
    assert completion.logprob == pytest.approx(-0.5 * len(completion.tokens))


def test_a_stop_string_does_not_begin_in_the_prompt() -> None:
    assert not write(start("ab", stop_strings=("bc",)), "c").finished


def test_a_line_does_not_end_too_soon() -> None:
    sequence = start(min_new_tokens=2)
    assert sequence.too_short and not write(sequence, "ab").too_short
    assert not start(min_new_tokens=2, ignore_eos=True).too_short  # its ends of lines are tokens like others


def test_no_token_that_may_follow_ends_it() -> None:
    sequence = start()
    sequence.add(-1, 0.0)
    assert sequence.completion().text == "" and sequence.finish_reason == "length"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_probability_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(UserError, match="damaged"):
        start().add(2, value)


def test_the_last_token_is_read_next() -> None:
    assert start("").last == 0 and start("ab").last == TOKENIZER.encode("b")[0]


def test_a_copy_goes_on_by_itself() -> None:
    first = write(start(), "b")
    second = write(first.copy(), "c")
    assert (write(first, "a").completion().text, second.completion().text) == ("ba", "bc")


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8, unique=True))
def test_random_numbers_do_not_depend_on_the_others(numbers: list[int]) -> None:
    sequences = [start(number=number, seed=3) for number in numbers]
    together = next_uniforms(sequences)
    assert ((together >= 0) & (together < 1)).all()
    assert together.tolist() == [float(next_uniforms([sequence])[0]) for sequence in sequences]
    later = next_uniforms([write(sequence, "b") for sequence in sequences])
    assert not np.array_equal(together, later)
