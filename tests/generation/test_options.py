from __future__ import annotations

import typing
from dataclasses import fields

import pytest

from speechrnn.core.errors import UserError
from speechrnn.generation.options import GenerationOptions, GenerationOverrides


def test_the_keyword_arguments_are_the_options() -> None:
    types = typing.get_type_hints(GenerationOptions)
    overrides = typing.get_type_hints(GenerationOverrides)
    assert [field.name for field in fields(GenerationOptions)] == list(overrides)
    for name, hint in overrides.items():
        expected = {"stop_strings", "bad_words"}
        assert (types[name] == tuple[str, ...]) if name in expected else (types[name] == hint)


def test_lists_are_taken_for_tuples_and_a_text_is_not() -> None:
    assert GenerationOptions(stop_strings=["a"]) == GenerationOptions(stop_strings=("a",))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="bad_words=ab is wrong: it must be a list"):
        GenerationOptions(bad_words="ab")  # type: ignore[arg-type]
