"""Look-ups in n-gram models: the same probabilities as those of the model that the search asks."""

from __future__ import annotations

import random

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.decoding.ngram.kneser_ney import kneser_ney
from speechrnn.decoding.ngram.lookup import NgramLookup
from speechrnn.decoding.ngram.model import NgramModel
from speechrnn.decoding.ngram.pruning import prune

SYMBOLS = ["<blank>", "<unk>", "a", "b", "c", "d"]


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), order=st.integers(1, 4), pruned=st.booleans())
def test_equals_the_model_of_the_search(seed: int, order: int, pruned: bool) -> None:
    draw = random.Random(seed)
    text = [[1 + int(draw.random() ** 2 * 5) for _ in range(draw.randrange(9))] for _ in range(20)]
    ngrams = kneser_ney(text, SYMBOLS, order)
    if pruned:
        ngrams = prune(ngrams, 0.003)
    lookup, model = NgramLookup(ngrams), NgramModel(ngrams)
    for line in text:
        state = torch.tensor([model.begin()])
        history = [len(SYMBOLS)]
        for token in [*line, 0]:
            history.append(token)
            window = torch.tensor([history[-ngrams.order :]])
            expected = model.log_probs(state)[:, token]
            torch.testing.assert_close(lookup.log_probs(window).float(), expected, atol=1e-5, rtol=1e-5)
            state = model.extend(state, torch.tensor([token]))


def test_rows_of_what_there_is_and_is_not() -> None:
    ngrams = kneser_ney([[2, 3, 4]], SYMBOLS, 3)
    lookup = NgramLookup(ngrams)
    for words in ngrams.words:
        assert lookup.rows(words).tolist() == list(range(len(words)))
    assert lookup.rows(torch.tensor([[4, 2], [5, 5]])).tolist() == [-1, -1]
    assert lookup.rows(torch.tensor([[5, 5, 2]])).tolist() == [-1]
