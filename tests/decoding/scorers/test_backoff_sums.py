"""Sums of a backing-off model, against those of a table with a column for each word."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from speechrnn.decoding.ngram.kneser_ney import kneser_ney
from speechrnn.decoding.ngram.model import NgramModel
from speechrnn.decoding.scorers import backoff_sums, word_sums
from speechrnn.decoding.scorers.backoff_sums import BackoffWordSums
from speechrnn.decoding.scorers.spelt_words import SpeltWords
from speechrnn.decoding.scorers.word_sums import DenseWordSums
from speechrnn.text.tokenizers import UNKNOWN

NAMES = ["<blank>", UNKNOWN] + [f"w{number}" for number in range(12)]


def make_model(order: int, seed: int) -> NgramModel:
    """A model of random lines in which some words follow others often."""
    generator = random.Random(seed)
    lines = [[generator.choice([2, 3, 4, generator.randrange(2, len(NAMES))]) for _ in range(5)] for _ in range(30)]
    return NgramModel(kneser_ney(lines, NAMES, order))


def spell(seed: int, alike: bool) -> SpeltWords:
    """Spellings in any order; of several words, and several of a word, where some sound alike."""
    generator = random.Random(seed)
    tokens = list(range(2, len(NAMES) - 1))  # the last word cannot be spelt
    generator.shuffle(tokens)
    spelt = [[token] for token in tokens]
    if alike:
        spelt += [[tokens[0], tokens[3]], tokens[2:5], [tokens[0]]]
        generator.shuffle(spelt)
    return SpeltWords(spelt, unknown=1)


def states_of(model: NgramModel, seed: int) -> Tensor:
    """States after random lines."""
    generator = random.Random(seed)
    states = torch.full((20,), model.begin())
    for _ in range(4):
        tokens = torch.tensor([generator.randrange(1, len(NAMES)) for _ in states])
        moved = torch.tensor([generator.random() < 0.8 for _ in states])
        states = torch.where(moved, model.extend(states, tokens), states)
    return states


@settings(max_examples=40)
@given(st.integers(1, 4), st.integers(0, 10**6), st.booleans(), st.sampled_from([2**28, 28 * 60, 1]))
def test_all_figures_are_those_of_a_table(order: int, seed: int, alike: bool, memory: int) -> None:
    model, words = make_model(order, seed), spell(seed, alike)
    generator = random.Random(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backoff_sums, "ENTRIES_BYTES", memory)
        patch.setattr(word_sums, "SUMS_BYTES", memory)
        patch.setattr(word_sums, "AT_ONCE", 7)
        sparse, dense = BackoffWordSums(model, words), DenseWordSums(model, words)
        for part in states_of(model, seed).split(6):
            rows, expected = sparse.rows(part), dense.rows(part)
            first = torch.tensor([generator.randint(0, len(words)) for _ in part])
            last = torch.tensor([generator.randint(int(low), len(words)) for low in first])
            limits = torch.stack([first, last])
            assert torch.allclose(sparse.between(rows, limits), dense.between(expected, limits), rtol=1e-6, atol=1e-12)
            spelt = torch.arange(len(words)).repeat(len(part))
            pairs = [table.repeat_interleave(len(words)) for table in (rows, expected)]
            assert sparse.log_probs(pairs[0], spelt).tolist() == dense.log_probs(pairs[1], spelt).tolist()
            assert sparse.tokens(pairs[0], spelt).tolist() == dense.tokens(pairs[1], spelt).tolist()
            assert sparse.ends(rows).tolist() == dense.ends(expected).tolist()
            assert sparse.unknown(rows).tolist() == dense.unknown(expected).tolist()


def test_ranges_may_be_those_of_a_table_of_rows_and_nodes() -> None:
    model, words = make_model(order=3, seed=5), spell(5, alike=True)
    sums = BackoffWordSums(model, words)
    rows = sums.rows(states_of(model, 5))
    first, last = torch.tensor([0, 2, 4]), torch.tensor([1, 9, 4])
    limits = torch.stack([first, last])
    table = sums.between(rows[:, None], limits[:, None])
    assert table.shape == (len(rows), 3)
    for column in range(3):
        alone = sums.between(rows, limits[:, column, None])
        assert table[:, column].tolist() == alone.tolist()


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    model, words = make_model(order=3, seed=6), spell(6, alike=False)
    monkeypatch.setattr(backoff_sums, "ENTRIES_BYTES", 28 * 200)
    sums = BackoffWordSums(model, words)
    for seed in range(30):
        for context in states_of(model, seed):
            sums.rows(context[None])
            assert sums._size <= 200
