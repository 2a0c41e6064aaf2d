"""Each change of the scores against what transformers documents, written out in plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from helpers.generators import make, normal, scores, shaped
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from speechrnn.generation.detokenizer import Detokenizer
from speechrnn.generation.logits_processors import (
    banned_tokens,
    compute_logits,
    constrain,
    fill_logits,
    keep_top,
    penalise,
    warp,
)
from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.prompt_encoder import PromptEncoder
from speechrnn.generation.sequence import TokenSequence
from speechrnn.text.tokenizers import CharTokenizer

V = 40
TOKENIZER = CharTokenizer.build([], "abcd")


def draws(values: Tensor) -> Tensor:
    return values.double().softmax(1)


temperatures = st.sampled_from([0.3, 1.0, 2.5])
shares = st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0])
shapes = st.builds(
    GenerationOptions,
    temperature=temperatures,
    top_k=st.sampled_from([0, 1, 3, 20, V, 100]),
    top_p=shares,
    min_p=st.sampled_from([0.0, 0.1, 0.6]),
    typical_p=shares,
)


@settings(max_examples=100)
@given(st.lists(shapes, min_size=1, max_size=5), st.integers(0, 1000))
def test_the_draw_is_shaped_as_transformers_does_it(options: list[GenerationOptions], seed: int) -> None:
    values = scores(len(options), V, seed)
    expected = [shaped(row.tolist(), [], 0, options=chosen) for row, chosen in zip(values, options, strict=True)]
    warp(values, options)
    np.testing.assert_allclose(draws(values), np.stack(expected), atol=1e-5)


@settings(max_examples=50)
@given(st.lists(shapes, min_size=2, max_size=5), st.integers(0, 1000))
def test_a_row_is_shaped_alike_in_any_company(options: list[GenerationOptions], seed: int) -> None:
    values = scores(len(options), V, seed)
    alone = [row.unsqueeze(0).clone() for row in values]
    warp(values, options)
    for row, chosen, together in zip(alone, options, values, strict=True):
        warp(row, [chosen])
        assert torch.equal(row[0], together)


def test_tokens_of_the_same_score_stay_together() -> None:
    values = torch.tensor([[0.0, 1.0, 1.0, -1.0, 1.0]])
    keep_top(values, [2], [1.0])
    assert values.tolist() == [[-math.inf, 1.0, 1.0, -math.inf, 1.0]]


def test_rows_in_which_nothing_is_left_stay_so() -> None:
    values = torch.full((1, V), -math.inf)
    warp(values, [GenerationOptions(top_k=3, top_p=0.5, min_p=0.1, typical_p=0.5)])
    assert (values == -math.inf).all()


def test_penalties_divide_what_is_positive_and_multiply_the_rest() -> None:
    values = torch.tensor([[2.0, -2.0, 4.0, -4.0]] * 3)
    penalise(values, [2.0, 1.0, 0.5], [[0, 1, 1], [0, 1], [3]])
    assert values.tolist() == [[1.0, -4.0, 4.0, -4.0], [2.0, -2.0, 4.0, -4.0], [2.0, -2.0, 4.0, -2.0]]


@pytest.mark.parametrize(
    ("size", "history", "expected"),
    [(0, [1, 1, 1], []), (1, [1, 2, 1], [1, 2]), (2, [1, 2, 1], [2]), (2, [1, 2], []), (3, [1, 2, 3, 1, 2], [3])],
)
def test_no_ngram_comes_twice(size: int, history: list[int], expected: list[int]) -> None:
    assert sorted(set(banned_tokens(history, GenerationOptions(no_repeat_ngram_size=size), []))) == expected


def test_bad_words_cannot_be_completed() -> None:
    words = [(1, 2, 3), (4,), (2, 2)]
    options = GenerationOptions(bad_words=("x",))
    assert banned_tokens([1, 2], options, words) == [3, 4, 2]
    assert banned_tokens([1], options, words) == [4]
    assert banned_tokens([], options, words) == [4]


def test_bans_hold_whatever_the_penalty_and_the_line_does_not_end_too_early() -> None:
    def row(text: str, log_probs: list[float], **options: object) -> TokenSequence:
        prompt = PromptEncoder(TOKENIZER).prompt(text, GenerationOptions(**options))  # type: ignore[arg-type]
        return TokenSequence(prompt, Detokenizer(TOKENIZER), [*prompt.tokens, 3], log_probs=log_probs)

    values = torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0]]).repeat(4, 1)
    rows = [
        row("ab", [-1.0], bad_words=("cb",), repetition_penalty=2.0),
        row("ab", [-1.0], min_new_tokens=2),
        row("ab", [-1.0], min_new_tokens=1),
        row("ab", [-1.0], min_new_tokens=2, ignore_eos=True),
    ]
    constrain(values, rows, unknown=4)
    never = -math.inf
    assert values.tolist() == [
        [1.0, 1.0, never, 2.0, never],
        [never, 2.0, 3.0, 4.0, never],
        [1.0, 2.0, 3.0, 4.0, never],
        [1.0, 2.0, 3.0, 4.0, never],
    ]


@pytest.mark.parametrize("softmax", ["full", "adaptive", "mixture"])
def test_raw_scores_are_log_probabilities_up_to_a_constant(softmax: str) -> None:
    model = make(V, softmax=softmax, cutoffs=(5, 20))
    with torch.no_grad():
        outputs, _ = model.step(torch.randn(6, model.state_size), torch.arange(6))
        found = compute_logits(model, outputs)
        torch.testing.assert_close(found.log_softmax(1), model.log_probs(outputs))
        wide = torch.zeros(8, V)
        assert [part.stop for part in fill_logits(wide[:6], model, outputs)] == [V]
        torch.testing.assert_close(wide[:6], found)
        assert not wide[6:].any()


def test_plain_references_agree_among_themselves() -> None:
    assert normal([1.0, 3.0]) == [0.25, 0.75]
    p = shaped(np.log([0.5, 0.3, 0.15, 0.05]).tolist(), [], 0, options=GenerationOptions(top_p=0.7))
    np.testing.assert_allclose(p, [0.625, 0.375, 0, 0])
    p = shaped(np.log([0.5, 0.3, 0.15, 0.05]).tolist(), [], 0, options=GenerationOptions(min_p=0.5, top_k=3))
    np.testing.assert_allclose(p, [0.625, 0.375, 0, 0])
