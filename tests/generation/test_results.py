"""Tests of prompts and results: what stands in the output file, and the error of a single prompt."""

from __future__ import annotations

import json
import logging

import pytest

from speechrnn.core.errors import UserError
from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.results import Completion, Prompt, Result, Token

PROMPT = Prompt("p1", "Sharks feed", (4, 5), options=GenerationOptions())
COMPLETION = Completion(" on", (Token("on", -0.25), Token("\n", -1.0)), -1.25, finish_reason="eos")


def test_the_model_reads_a_prompt_as_if_a_line_had_ended() -> None:
    assert PROMPT.context == (0, 4)
    assert Prompt("p2", "", (), options=GenerationOptions()).context == ()


def test_a_result_as_json() -> None:
    result = Result("p1", "Sharks feed", (COMPLETION, COMPLETION))
    assert result.tokens == 4
    row = json.loads(json.dumps(result.to_json()))
    assert row["completions"][0] == {
        "text": " on",
        "tokens": [{"token": "on", "logprob": -0.25}, {"token": "\n", "logprob": -1.0}],
        "logprob": -1.25,
        "finish_reason": "eos",
    }
    assert "error" not in row


def test_a_prompt_that_failed_has_its_error_only() -> None:
    row = Result(7, None, error="The line is no JSON.").to_json()
    assert row == {"id": 7, "prompt": None, "error": "The line is no JSON."}


def test_a_sentence_for_the_user_is_the_error() -> None:
    result = Result.from_error(PROMPT, UserError("The prompt holds characters that the model lacks."))
    assert result == Result("p1", "Sharks feed", error="The prompt holds characters that the model lacks.")


def test_another_error_is_named_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "speechrnn"):
        result = Result.from_error(PROMPT, RuntimeError("x" * 1000))
    assert result.error is not None and "RuntimeError" in result.error and len(result.error) < 400
    assert "p1" in caplog.text
