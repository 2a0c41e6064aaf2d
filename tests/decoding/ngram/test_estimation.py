"""N-gram models of a text as options say, and their perplexity."""

from __future__ import annotations

import math

import pytest
import torch

from speechrnn.decoding.ngram.estimation import NgramOptions, estimate, perplexity
from speechrnn.decoding.ngram.model import NgramModel

SYMBOLS = ["<blank>", "<unk>", "a", "b"]
LINES = [[2, 3, 2], [], [3], [2, 1, 3, 3], [2, 3, 2, 2, 3]]


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_perplexity_is_that_of_a_walk_through_the_lines(order: int) -> None:
    ngrams = estimate(LINES, SYMBOLS, NgramOptions(order=order))
    model = NgramModel(ngrams)
    total, count = 0.0, 0
    for line in LINES:
        state = torch.tensor([model.begin()])
        for token in [*line, 0]:
            total += model.log_probs(state)[0, token].item()
            count += 1
            state = model.extend(state, torch.tensor([token]))
    assert perplexity(ngrams, LINES) == pytest.approx(math.exp(-total / count), rel=1e-5)


def test_options_prune() -> None:
    full = estimate(LINES, SYMBOLS, NgramOptions(order=2))
    assert len(estimate(LINES, SYMBOLS, NgramOptions(order=2, pruning=0.01)).words[1]) < len(full.words[1])
    assert len(estimate(LINES, SYMBOLS, NgramOptions(order=2, min_counts=(1, 3))).words[1]) < len(full.words[1])
