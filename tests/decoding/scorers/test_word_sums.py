"""Sums over ranges of words, against sums over the rows of the model."""

from __future__ import annotations

import pytest
import torch
from helpers.scorers import Bigram

from speechrnn.decoding.scorers import word_sums
from speechrnn.decoding.scorers.spelt_words import SpeltWords
from speechrnn.decoding.scorers.word_sums import DenseWordSums, grown

WORDS = SpeltWords([[1], [2, 5], [3], [4]], unknown=5)


@pytest.mark.parametrize("memory", [word_sums.SUMS_BYTES, 1])
def test_sums_are_those_of_the_models_probabilities(memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_sums, "SUMS_BYTES", memory)
    model = Bigram(6, seed=1)
    sums = DenseWordSums(model, WORDS)
    states = model.extend(torch.zeros(3, dtype=torch.long), torch.tensor([1, 2, 5]))
    for contexts in (states, states[:2], states.flip(0)):
        rows = sums.rows(contexts)
        values, _ = WORDS.choose(model.log_probs(contexts))
        for first, last in [(0, 0), (0, 4), (1, 2), (1, 4)]:
            found = sums.between(rows, torch.tensor([[first], [last]]))
            assert torch.allclose(found, values[:, first:last].double().exp().sum(1))
        second = torch.ones_like(rows)
        assert sums.log_probs(rows, second).tolist() == values[:, 1].tolist()
        assert sums.ends(rows).tolist() == model.log_probs(contexts)[:, 0].tolist()
        assert sums.unknown(rows).tolist() == model.log_probs(contexts)[:, 5].tolist()
        for context, token in zip(contexts, sums.tokens(rows, second).tolist(), strict=True):
            row = model.log_probs(context[None])[0]
            assert token == (2 if row[2] >= row[5] else 5)


def test_rows_that_an_interruption_left_half_made_are_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Bigram(6, seed=1)
    sums = DenseWordSums(model, WORDS)
    states = model.extend(torch.zeros(3, dtype=torch.long), torch.tensor([1, 2, 5]))
    whole = model.log_probs

    def fail(states: torch.Tensor) -> torch.Tensor:
        raise MemoryError

    monkeypatch.setattr(model, "log_probs", fail)
    with pytest.raises(MemoryError):
        sums.rows(states)
    monkeypatch.setattr(model, "log_probs", whole)
    assert sums.ends(sums.rows(states)).tolist() == whole(states)[:, 0].tolist()


def test_a_grown_table_keeps_its_rows() -> None:
    table = torch.arange(6.0).view(3, 2)
    assert grown(table, 5)[:3].tolist() == table.tolist()
    assert grown(table, 5).shape == (5, 2)
