"""The cache against the sum that defines it, dynamic evaluation against what it must and must not do."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.language_models import step_by_step, token_file, toy_model

from speechrnn.evaluation.adaptation import (
    CacheOptions,
    DynamicEvaluation,
    DynamicOptions,
    NeuralCache,
    adapted_figures,
    without_dropout,
)
from speechrnn.evaluation.perplexity import Reader, score_text, token_log_probs
from speechrnn.nn.language import LanguageModel

VOCABULARY = 7
IDS = [3, 0, 1, 2, 6, 5, 0, 0, 4, 4, 1, 0, 2, 2, 2, 5, 0, 6, 1, 0]
CACHE = CacheOptions(theta=0.7, weight=0.25, window=6)
DYNAMIC = DynamicOptions(rate=3e-3, decay=1e-3, segment=4)


def log_probs(model: LanguageModel, ids: list[int], reader: Reader, documents: list[int] | None = None) -> np.ndarray:
    text = token_file(ids, documents or [0])
    return np.concatenate(list(token_log_probs(model, text, documents is not None, reader=reader)))


def cache(model: LanguageModel, length: int, options: CacheOptions = CACHE) -> NeuralCache:
    reader = NeuralCache(model, options)
    reader.length = length
    return reader


@torch.no_grad()
def by_hand(model: LanguageModel, ids: list[int], options: CacheOptions) -> np.ndarray:
    """The paper's equations, one token after the other."""
    own = step_by_step(model.eval(), ids).double().exp()
    hidden = model(torch.tensor([[0], *([token] for token in ids[:-1])]), model.start(1))[0][:, 0].double()
    found = []
    for t, token in enumerate(ids):
        remembered = range(max(0, t - options.window), t)
        weights = [math.exp(options.theta * float(hidden[t] @ hidden[i])) for i in remembered]
        same = sum(weight for i, weight in zip(remembered, weights, strict=True) if ids[i] == token)
        p = float(own[t, token])
        found.append(math.log((1 - options.weight) * p + options.weight * same / sum(weights) if weights else p))
    return np.array(found)


@pytest.mark.parametrize("softmax", ["full", "mixture"])
@pytest.mark.parametrize("length", [1, 4, 256])
def test_the_cache_is_the_sum_that_defines_it(length: int, softmax: str) -> None:
    model = toy_model(VOCABULARY, softmax=softmax)
    found = log_probs(model, IDS, cache(model, length))
    assert found == pytest.approx(by_hand(model, IDS, CACHE), rel=1e-4)
    own = np.concatenate(list(token_log_probs(model, token_file(IDS))))
    assert found[0] == pytest.approx(own[0]) and np.abs(found - own).max() > 0.1


def test_the_caches_probabilities_sum_to_one() -> None:
    model = toy_model(VOCABULARY)
    for place in (0, 1, 5, 13):
        each = [log_probs(model, [*IDS[:place], token], cache(model, 4))[-1] for token in range(VOCABULARY)]
        assert np.exp(each).sum() == pytest.approx(1, abs=1e-5)


def test_the_cache_expects_what_stood_there_before() -> None:
    model = toy_model(VOCABULARY)
    repeated = token_file([5, 3, 0] * 30)
    plain = score_text(model, repeated)
    assert adapted_figures(model, repeated, CACHE)["perplexity"] < 0.9 * plain.perplexity
    assert adapted_figures(model, repeated, replace(CACHE, weight=0.0))["perplexity"] == pytest.approx(plain.perplexity)


def test_dynamic_evaluation_learns_a_text_that_repeats_itself() -> None:
    model = toy_model(VOCABULARY, scale=1.0)
    text = token_file([5, 3, 0] * 60)
    plain = score_text(model, text)
    figures = adapted_figures(model, text, DynamicOptions(rate=3e-3, segment=5))
    assert figures["perplexity"] < 0.8 * plain.perplexity
    still = adapted_figures(model, text, DynamicOptions(rate=0.0, segment=5))
    assert still["perplexity"] == pytest.approx(plain.perplexity, rel=1e-5)
    held = adapted_figures(model, text, DynamicOptions(rate=3e-3, decay=1.0, segment=5))
    assert held["perplexity"] == pytest.approx(plain.perplexity, rel=1e-5)


@pytest.mark.parametrize("softmax", ["full", "adaptive", "mixture"])
@pytest.mark.parametrize("options", [CACHE, DYNAMIC])
def test_the_model_stays_as_it_was(options: CacheOptions | DynamicOptions, softmax: str) -> None:
    model = toy_model(VOCABULARY, softmax=softmax, tied=softmax != "mixture")
    before, shape = {name: value.clone() for name, value in model.state_dict().items()}, model.options
    figures = adapted_figures(model, token_file(IDS), options)
    assert math.isfinite(figures["perplexity"])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.options is shape and model.training
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("kind", ["cache", "dynamic"])
def test_nothing_is_known_before_it_is_read(kind: str) -> None:
    model = toy_model(VOCABULARY)

    def reader() -> Reader:
        return cache(model, 4) if kind == "cache" else DynamicEvaluation(model, DYNAMIC)

    whole = log_probs(model, IDS, reader())
    changed = log_probs(model, [*IDS[:9], *[(token + 1) % VOCABULARY for token in IDS[9:]]], reader())
    assert changed[:9] == pytest.approx(whole[:9], rel=1e-5)
    assert np.abs(changed[9:] - whole[9:]).min() > 0


@pytest.mark.parametrize("kind", ["cache", "dynamic"])
def test_each_document_is_read_as_if_alone(kind: str) -> None:
    model = toy_model(VOCABULARY)

    def reader() -> Reader:
        return cache(model, 4) if kind == "cache" else DynamicEvaluation(model, DYNAMIC)

    together = log_probs(model, IDS, reader(), documents=[0, 8])
    alone = [log_probs(model, ids, reader()) for ids in (IDS[:8], IDS[8:])]
    assert together == pytest.approx(np.concatenate(alone), rel=1e-4)


def test_a_step_of_dynamic_evaluation() -> None:
    """After one segment the mean square is the gradient's own: each weight goes `rate` against the gradient's sign."""
    model = toy_model(VOCABULARY)
    reader = DynamicEvaluation(model, DynamicOptions(rate=0.01, segment=len(IDS)))
    log_probs(model, IDS, reader)
    still = without_dropout(model)
    outputs, _ = still(torch.tensor([[0], *([token] for token in IDS[:-1])]), still.start(1))
    loss = -still.target_log_probs(outputs, torch.tensor(IDS)[:, None]).mean()
    gradients = torch.autograd.grad(loss, list(still.parameters()))
    parts = zip(reader.model.parameters(), model.parameters(), gradients, strict=True)
    for moved, weight, gradient in parts:
        clear = gradient.abs() > 2e-3
        torch.testing.assert_close((moved - weight)[clear], -0.01 * gradient.sign()[clear], rtol=0.02, atol=0)
        assert ((moved - weight).abs() <= 0.0101).all()


def test_a_copy_without_dropout_can_be_trained() -> None:
    model = toy_model(VOCABULARY, softmax="mixture", output_dropout=0.4)
    copy = without_dropout(model)
    tokens = torch.tensor(IDS)[:, None]
    results = [net.log_probs(net(tokens, net.start(1))[0]) for net in (copy, copy, model.eval())]
    assert copy.training
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)
    torch.testing.assert_close(results[0], results[2])
