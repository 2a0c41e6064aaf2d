"""A word model that shares the probability of `<unk>` among further words."""

from __future__ import annotations

import pytest
import torch
from helpers.scorers import CHARS, Bigram, total

from speechrnn.decoding.scorers.extended_vocabulary import ExtendedVocabulary
from speechrnn.decoding.scorers.word import WordScorer
from speechrnn.text.tokenizers import UNKNOWN

SMALL = ["<blank>", UNKNOWN, "cat", "the"]
LARGE = ["<blank>", "that", "the", "then", "he"]


def extended(seed: int) -> tuple[Bigram, Bigram, ExtendedVocabulary]:
    small, large = Bigram(len(SMALL), seed), Bigram(len(LARGE), seed + 1)
    return small, large, ExtendedVocabulary(small, SMALL, large, others=LARGE)


@pytest.mark.parametrize("seed", range(3))
def test_further_words_share_what_unk_has(seed: int) -> None:
    small, large, model = extended(seed)
    assert model.words == [*SMALL, "that", "then", "he"]
    assert model.vocabulary == 7
    log_probs = model.log_probs(torch.tensor([model.begin()]))[0]
    assert float(log_probs.exp().sum()) == pytest.approx(1.0, abs=1e-5)
    assert log_probs[1] == -torch.inf
    assert torch.equal(log_probs[[0, 2, 3]], small.table[0, [0, 2, 3]])
    further = log_probs[4:].exp()
    assert float(further.sum()) == pytest.approx(float(small.table[0, 1].exp()), rel=1e-5)
    ratio = large.table[0, 1].exp() / large.table[0, 3].exp()
    assert float(further[0] / further[1]) == pytest.approx(float(ratio), rel=1e-4)


def test_a_further_word_is_read_as_unk() -> None:
    small, _, model = extended(0)
    state = model.extend(torch.tensor([model.begin()]), torch.tensor([5]))
    assert torch.equal(model.log_probs(state)[0, [0, 2, 3]], small.table[1, [0, 2, 3]])


def test_words_of_both_models_can_be_spelt() -> None:
    _, _, model = extended(0)
    scorer = WordScorer(model, model.words, CHARS)
    for text in ("cat he", "then the", "that"):
        assert total(scorer, CHARS.encode(text)) > -torch.inf
    assert total(scorer, CHARS.encode("hen")) == -torch.inf
