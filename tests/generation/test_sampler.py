"""Tests of draws: they have the right distribution, and no row's draw depends on another row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch
from helpers.generators import make, plain_log_probs, shaped
from helpers.sampling import ADAPTIVE, UNKNOWN, V, outputs_of, sequence
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.generation import fixed_batches
from speechrnn.generation.logits_processors import compute_logits
from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.sampler import Sampler
from speechrnn.generation.sequence import TokenSequence, next_uniforms
from speechrnn.nn.language import LanguageModel


@lru_cache
def model_of(softmax: str, vocabulary: int) -> LanguageModel:
    cutoffs = (vocabulary // 8, vocabulary // 3, vocabulary // 2)
    return make(vocabulary, sharpness=15.0, softmax=softmax, cutoffs=cutoffs)


models = st.builds(model_of, st.sampled_from(["full", "adaptive", "mixture"]), st.sampled_from([40, 256, 700, 2500]))

any_options = st.builds(
    GenerationOptions,
    do_sample=st.booleans(),
    temperature=st.sampled_from([0.01, 0.3, 0.5, 1.0, 1.3, 4.0, 50.0]),
    top_k=st.sampled_from([0, 0, 1, 5, 10_000]),
    top_p=st.sampled_from([1.0, 1.0, 0.5, 0.9]),
    min_p=st.sampled_from([0.0, 0.0, 0.1]),
    typical_p=st.sampled_from([1.0, 1.0, 0.7]),
    repetition_penalty=st.sampled_from([1.0, 1.0, 1.5]),
    min_new_tokens=st.sampled_from([0, 1]),
    seed=st.integers(0, 1000),
)


@given(models, st.lists(any_options, min_size=1, max_size=6), st.integers(0, 1000))
@settings(max_examples=80)
def test_every_softmax_and_every_option_choose_as_a_plain_full_softmax_does(
    model: LanguageModel, options: list[GenerationOptions], seed: int
) -> None:
    sampler = Sampler(fixed_batches.FixedBatches(model), UNKNOWN)
    outputs = outputs_of(model, len(options), seed)
    sequences = [sequence(row, number) for number, row in enumerate(options)]
    tokens, log_probs = sampler.choose(outputs, sequences)
    own = plain_log_probs(model, outputs)
    with torch.no_grad():
        logits = compute_logits(model, outputs).double().numpy()  # whose zero a penalty depends on
    for row, token, log_prob, expected, values in zip(sequences, tokens, log_probs, own, logits, strict=True):
        assert log_prob == pytest.approx(expected[token], abs=1e-4)
        values[UNKNOWN] = -math.inf
        p = shaped(values, row.tokens, 0, options=row.prompt.options)
        if row.prompt.options.greedy:
            assert math.log(p[token]) >= math.log(p.max()) - 1e-4
        elif model.options.softmax == "adaptive" and row.prompt.options.adaptive_sampling:
            assert p[token] > 0  # whose distribution has a test of its own
        else:
            until, number = np.cumsum(p) / p.sum(), next_uniforms([row])[0]
            assert until[token] >= number - 1e-4 and until[token] - p[token] / p.sum() <= number + 1e-4


def unlikely(tokens: Sequence[int], probabilities: np.ndarray) -> float:
    """Chi-square of drawn tokens against what was to be drawn, in standard deviations above its mean."""
    counts = np.bincount(tokens, minlength=len(probabilities))
    assert not counts[probabilities == 0].any()
    expected = probabilities * len(tokens)
    common = expected >= 5
    groups = [*zip(counts[common], expected[common], strict=True), (counts[~common].sum(), expected[~common].sum())]
    square = sum((count - mean) ** 2 / mean for count, mean in groups if mean > 0)
    freedom = max(1, sum(mean > 0 for _, mean in groups) - 1)
    return float((square - freedom) / math.sqrt(2 * freedom))


@pytest.mark.parametrize("softmax", ["full", "adaptive"])
@pytest.mark.parametrize(
    "options",
    [
        GenerationOptions(),
        GenerationOptions(temperature=0.6),
        GenerationOptions(temperature=0.2),
        GenerationOptions(temperature=0.02),
        GenerationOptions(temperature=1.5),
        GenerationOptions(min_new_tokens=1),
        GenerationOptions(min_new_tokens=1, temperature=0.5),
        GenerationOptions(top_k=30, temperature=0.8),
    ],
)
def test_tokens_are_drawn_by_their_probability(softmax: str, options: GenerationOptions) -> None:
    others: dict[str, Any] = ADAPTIVE if softmax == "adaptive" else {}
    model = make(V, sharpness=15.0, **others)
    sampler = Sampler(fixed_batches.FixedBatches(model), UNKNOWN)
    column = outputs_of(model, 1)
    rows = [sequence(options, number) for number in range(8000)]
    tokens, log_probs = sampler.choose(column.expand(len(rows), -1), rows)
    with torch.no_grad():
        model_log_probs = model.log_probs(column)[0].double()
    raw = model_log_probs.exp().numpy().copy()
    raw[1] = 0.0  # <unk>
    expected = shaped(np.log(np.maximum(raw, 1e-300)).tolist(), [], 0, options=options)
    expected[expected < 1e-200] = 0
    assert unlikely(tokens, expected) < 4
    np.testing.assert_allclose(log_probs, model_log_probs[tokens], atol=2e-5)


@pytest.mark.parametrize("softmax", ["full", "adaptive", "mixture"])
def test_greedy_rows_take_the_most_probable_token(softmax: str) -> None:
    model = make(V, **{**ADAPTIVE, "softmax": softmax})
    sampler = Sampler(fixed_batches.FixedBatches(model), UNKNOWN)
    outputs = outputs_of(model, 100)
    with torch.no_grad():
        log_probs = model.log_probs(outputs)
    log_probs[:, 1] = -math.inf
    tokens, found = sampler.choose(outputs, [sequence(GenerationOptions(do_sample=False)) for _ in range(100)])
    assert tokens == log_probs.argmax(1).tolist()
    assert len({*tokens}) > 10 and max(tokens) >= 60
    np.testing.assert_allclose(found, log_probs.amax(1), atol=2e-5)
    early, _ = sampler.choose(
        outputs, [sequence(GenerationOptions(temperature=0, min_new_tokens=1)) for _ in range(100)]
    )
    log_probs[:, 0] = -math.inf
    assert early == log_probs.argmax(1).tolist()


@pytest.mark.parametrize("softmax", ["full", "adaptive", "mixture"])
def test_a_row_finds_the_same_in_any_company(softmax: str) -> None:
    model = make(V, **{**ADAPTIVE, "softmax": softmax})
    sampler = Sampler(fixed_batches.FixedBatches(model), UNKNOWN)
    kinds = [
        GenerationOptions(),
        GenerationOptions(temperature=0.5),
        GenerationOptions(do_sample=False),
        GenerationOptions(top_p=0.8),
        GenerationOptions(temperature=1.3, top_k=7),
        GenerationOptions(typical_p=0.7, min_p=0.01),
        GenerationOptions(repetition_penalty=1.3),
    ]
    outputs = outputs_of(model, 100)
    rows = [sequence(kinds[number % len(kinds)], number) for number in range(100)]
    together = list(zip(*sampler.choose(outputs, rows), strict=True))
    assert len({token for token, _ in together}) > 20
    back = list(zip(*sampler.choose(outputs.flip(0), rows[::-1]), strict=True))[::-1]
    alone = [
        tuple(column[0] for column in sampler.choose(outputs[number : number + 1], [rows[number]]))
        for number in range(100)
    ]
    assert back == together == alone


@pytest.mark.parametrize("softmax", ["full", "adaptive", "mixture"])
@pytest.mark.parametrize("temperature", [1e-300, 1e-30, 1e-6, 1e-5, 1e-4, 1e20, 1e308, math.inf])
def test_temperatures_may_be_of_any_size(softmax: str, temperature: float) -> None:
    model = model_of(softmax, 700)
    sampler = Sampler(fixed_batches.FixedBatches(model), UNKNOWN)
    outputs = outputs_of(model, 50)
    rows = [sequence(GenerationOptions(temperature=temperature, min_new_tokens=1), number) for number in range(50)]
    tokens, log_probs = sampler.choose(outputs, rows)
    own = plain_log_probs(model, outputs)
    np.testing.assert_allclose(log_probs, own[np.arange(50), tokens], atol=1e-3)
    assert not {0, UNKNOWN} & set(tokens)
    if temperature < 1:
        own[:, [0, UNKNOWN]] = -math.inf
        np.testing.assert_allclose(log_probs, own.max(1), atol=2e-3)
    else:
        assert len(set(tokens)) > 40


@pytest.mark.parametrize("softmax", ["full", "adaptive", "mixture"])
def test_the_least_change_of_a_random_number_that_changes_a_token_is_the_same_in_any_company(
    softmax: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of(softmax, 2500)
    sampler = Sampler(fixed_batches.FixedBatches(model), UNKNOWN)
    kinds = [
        GenerationOptions(),
        GenerationOptions(temperature=0.7),
        GenerationOptions(top_p=0.9),
        GenerationOptions(min_new_tokens=1),
        GenerationOptions(top_k=5),
        GenerationOptions(do_sample=False),
    ]
    count = 90
    outputs = outputs_of(model, count)
    rows = [sequence(kinds[number % len(kinds)], number) for number in range(count)]
    numbers: dict[int, float] = {}

    def given(some: Sequence[TokenSequence], number: int = 0) -> np.ndarray:
        return np.array([numbers[id(row)] for row in some])

    for name in ("sampler", "adaptive_sampling"):
        monkeypatch.setattr(f"speechrnn.generation.{name}.next_uniforms", given)

    def chosen(order: Sequence[int], uniform: np.ndarray) -> dict[int, int]:
        numbers.update({id(row): float(value) for row, value in zip(rows, uniform, strict=True)})
        tokens, _ = sampler.choose(outputs[list(order)], [rows[number] for number in order])
        return dict(zip(order, tokens, strict=True))

    low, high = np.full(count, 0.25), np.full(count, 0.75)
    lowest = chosen(range(count), low)
    for _ in range(54):  # bisection, down to two neighbouring numbers
        middle = (low + high) / 2
        found = chosen(range(count), middle)
        same = np.array([found[number] == lowest[number] for number in range(count)])
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    for uniform in (low, high):
        together = chosen(range(count), uniform)
        assert chosen(range(count - 1, -1, -1), uniform) == together
        for size in (1, 2, 7, 19):
            for first in range(0, count, size):
                some = range(first, min(first + size, count))
                assert chosen(some, uniform) == {number: together[number] for number in some}


def test_where_nothing_may_follow_there_is_no_token() -> None:
    model = make(V)
    sampler = Sampler(fixed_batches.FixedBatches(model), UNKNOWN)
    everything = tuple(str(number) for number in range(V - 2))
    for options in (GenerationOptions(), GenerationOptions(do_sample=False), GenerationOptions(top_p=0.5)):
        shut = sequence(replace(options, bad_words=everything, min_new_tokens=1))
        tokens, log_probs = sampler.choose(outputs_of(model, 2), [shut, sequence(options)])
        assert tokens[0] == -1 and tokens[1] >= 0 and not math.isnan(log_probs[1])
