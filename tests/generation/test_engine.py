"""Whatever a library raises over one prompt is that prompt's failure, in both engines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from helpers.generators import make, tokenizer
from torch import Tensor

from speechrnn.generation import beam_search, sampler
from speechrnn.generation.detokenizer import Detokenizer
from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.predictor import TextPredictor
from speechrnn.generation.results import Result
from speechrnn.generation.sequence import TokenSequence

TOKENIZER = tokenizer("char")
OURS = TextPredictor(make(len(TOKENIZER)), TOKENIZER, "cpu")
TEXTS = ["a", "bad", "cab", "head", "fed"]
ENGINES = pytest.mark.parametrize("beams", [1, 3])


def complete(beams: int) -> list[Result]:
    options = GenerationOptions(num_beams=beams, max_new_tokens=8, top_k=0, no_repeat_ngram_size=3)
    return list(OURS.complete([OURS.prompt(text, options, text) for text in TEXTS]))


@ENGINES
def test_a_failing_processor_fails_its_prompt_alone(beams: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = complete(beams)
    module = beam_search if beams > 1 else sampler
    constrain = module.constrain

    def failing(scores: Tensor, sequences: Sequence[TokenSequence], unknown: int | None) -> None:
        if any(sequence.prompt.id == "cab" and sequence.length == 2 for sequence in sequences):
            raise OverflowError("too large")
        constrain(scores, sequences, unknown)

    monkeypatch.setattr(module, "constrain", failing)
    found = complete(beams)
    assert "OverflowError: too large" in str(found[2].error)
    assert [result for result in found if result.id != "cab"] == [entry for entry in expected if entry.id != "cab"]


@ENGINES
def test_a_failing_detokenizer_fails_its_prompt_alone(beams: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = complete(beams)
    decode, calls = Detokenizer.decode_token, [0]

    def failing(self: Detokenizer, token: int, before: str) -> str:
        calls[0] += 1
        if calls[0] == 1:
            raise ValueError("no text")
        return decode(self, token, before)

    monkeypatch.setattr(Detokenizer, "decode_token", failing)
    found = complete(beams)
    assert [result.error is not None for result in found].count(True) == 1
    assert [entry for entry in found if entry.error is None] == [
        entry for entry, other in zip(expected, found, strict=True) if other.error is None
    ]


@ENGINES
def test_a_prompt_that_the_model_cannot_read_fails_alone(beams: int) -> None:
    options = GenerationOptions(num_beams=beams, max_new_tokens=4)
    prompts = [OURS.prompt(text, options, text) for text in TEXTS]
    prompts[1] = replace(prompts[1], tokens=(1, 10_000, 2))
    errors = [result.error for result in OURS.complete(prompts)]
    assert [error is not None for error in errors] == [False, True, False, False, False]
    assert "IndexError" in str(errors[1])


@ENGINES
def test_no_log_probability_that_is_no_number_is_written(beams: int) -> None:
    model = make(len(TOKENIZER))
    with torch.no_grad():
        model.softmax.bias[3] = float("nan")
    broken = TextPredictor(model, TOKENIZER, "cpu")
    for options in (GenerationOptions(num_beams=beams), GenerationOptions(num_beams=beams, do_sample=False)):
        (result,) = broken.complete([broken.prompt("a", options)])
        assert "no finite numbers" in str(result.error) and not result.completions


@ENGINES
def test_exhausted_memory_is_no_prompts_failure(beams: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(beam_search if beams > 1 else sampler, "constrain", failing)
    with pytest.raises(MemoryError):
        complete(beams)
