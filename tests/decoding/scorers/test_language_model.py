"""Tests of the interface of language models: each model that the search can use keeps what it promises."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.language_models import toy_model

from speechrnn.decoding.ngram.arpa import write_arpa
from speechrnn.decoding.ngram.kneser_ney import kneser_ney
from speechrnn.decoding.ngram.model import read_ngram
from speechrnn.decoding.scorers.language_model import LanguageModelProtocol
from speechrnn.decoding.scorers.neural import NeuralModel
from speechrnn.text.tokenizers import CharTokenizer

TOKENIZER = CharTokenizer.build([], "ABC")


@pytest.fixture(params=["neural", "ngram"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> LanguageModelProtocol:
    if request.param == "neural":
        return NeuralModel(toy_model(len(TOKENIZER)).eval())
    lines = [TOKENIZER.encode(text) for text in ("AB", "ABAB", "B")]
    write_arpa(tmp_path / "ngram.arpa", kneser_ney(lines, TOKENIZER.symbols, 3))
    return read_ngram(tmp_path / "ngram.arpa", TOKENIZER)


def test_log_probabilities_are_those_of_a_distribution(model: LanguageModelProtocol) -> None:
    state = torch.tensor([model.begin()])
    for token in (2, 3, 2):
        log_probs = model.log_probs(state)
        assert log_probs.shape == (1, model.vocabulary) and log_probs.dtype == torch.float32
        assert log_probs.exp().sum().item() == pytest.approx(1.0, abs=1e-3)
        state = model.extend(state, torch.tensor([token]))


def test_a_row_does_not_depend_on_the_others(model: LanguageModelProtocol) -> None:
    def follow(rows: list[list[int]]) -> torch.Tensor:
        states = torch.full((len(rows),), model.begin())
        for tokens in zip(*rows, strict=True):
            states = model.extend(states, torch.tensor(tokens))
        return model.log_probs(states)

    alone = follow([[2, 3, 3]])
    together = follow([[3, 3, 2], [2, 3, 3], [2, 2, 2]])
    torch.testing.assert_close(together[1], alone[0], atol=1e-5, rtol=0)


def test_a_new_beginning_is_the_first_one(model: LanguageModelProtocol) -> None:
    first = model.log_probs(torch.tensor([model.begin()]))
    model.extend(torch.tensor([model.begin()]), torch.tensor([3]))
    assert torch.equal(model.log_probs(torch.tensor([model.begin()])), first)
