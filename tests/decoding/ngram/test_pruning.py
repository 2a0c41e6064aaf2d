"""Pruned n-gram models: probabilities still sum to one, and what is dropped is what matters least."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.core.errors import UserError
from speechrnn.decoding.ngram.arpa import Ngrams, read_arpa, write_arpa
from speechrnn.decoding.ngram.estimation import perplexity
from speechrnn.decoding.ngram.kneser_ney import kneser_ney
from speechrnn.decoding.ngram.lookup import NgramLookup
from speechrnn.decoding.ngram.model import NgramModel
from speechrnn.decoding.ngram.pruning import prune

SYMBOLS = ["<blank>", "<unk>", "a", "b", "c", "d"]


def random_text(seed: int, lines: int = 40) -> list[list[int]]:
    draw = random.Random(seed)
    return [[1 + int(draw.random() ** 2 * 5) for _ in range(draw.randrange(9))] for _ in range(lines)]


def sums(ngrams: Ngrams) -> torch.Tensor:
    """The sum of the probabilities after every history of up to three tokens."""
    model = NgramModel(ngrams)
    states = [torch.tensor([model.begin()])]
    for _ in range(3):
        states.append(model.extend(states[-1].repeat_interleave(5), torch.arange(1, 6).repeat(len(states[-1]))))
    return model.log_probs(torch.cat(states)).exp().sum(1)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    order=st.integers(2, 4),
    threshold=st.sampled_from([0.0, 1e-4, 1e-3, 1e-2, 1.0]),
    least=st.lists(st.integers(1, 4), max_size=4),
)
def test_probabilities_sum_to_one_after_pruning(seed: int, order: int, threshold: float, least: list[int]) -> None:
    ngrams = kneser_ney(random_text(seed), SYMBOLS, order)
    pruned = prune(ngrams, threshold, least)
    torch.testing.assert_close(sums(pruned), torch.ones(len(sums(pruned))), atol=1e-4, rtol=0)
    assert pruned.words[0].tolist() == ngrams.words[0].tolist()  # no word is dropped
    for before, after in zip(ngrams.words, pruned.words, strict=False):
        assert {tuple(row) for row in after.tolist()} <= {tuple(row) for row in before.tolist()}


def divergence(full: NgramLookup, pruned: NgramLookup, context: list[int], share: float) -> float:
    """Share by which perplexity rises, by a sum over all words after the context."""
    words = torch.tensor([[*context, word] for word in [0, *range(1, len(SYMBOLS))]])
    log_probs = full.log_probs(words)
    return math.expm1(share * float((log_probs.exp() * (log_probs - pruned.log_probs(words))).sum()))


@pytest.mark.parametrize("seed", range(5))
def test_the_rise_of_perplexity_is_that_of_a_sum_over_all_words(seed: int) -> None:
    """Of each bigram: it is dropped at a threshold just above the rise, and stays at one just below."""
    ngrams = kneser_ney(random_text(seed), SYMBOLS, 2)
    full = NgramLookup(ngrams)
    total = sum(len(line) + 1 for line in random_text(seed))
    rises = {}
    for number, (first, last) in enumerate(ngrams.words[1].tolist()):
        others = torch.arange(len(ngrams.words[1])) != number
        smaller = Ngrams(
            "without it",
            ngrams.names,
            (ngrams.words[0], ngrams.words[1][others]),
            log_probs=(ngrams.log_probs[0], ngrams.log_probs[1][others]),
            backoffs=ngrams.backoffs,
            counts=(ngrams.counts[0], ngrams.counts[1][others]),
        )
        same = torch.tensor([word for before, word in smaller.words[1].tolist() if before == first], dtype=torch.long)
        after = full.log_probs(torch.stack([torch.full_like(same, first), same], 1)).exp().sum()
        lower = ngrams.log_probs[0][full.rows(same[:, None])].double().exp().sum()
        weights = ngrams.backoffs[0].clone()
        weights[full.rows(torch.tensor([[first]]))] = ((1 - after) / (1 - lower)).log().float()
        changed = Ngrams(
            "x",
            ngrams.names,
            smaller.words,
            log_probs=smaller.log_probs,
            backoffs=(weights, ngrams.backoffs[1][others]),
        )
        share = float(ngrams.counts[0][full.rows(torch.tensor([[first]]))]) / total
        rises[first, last] = divergence(full, NgramLookup(changed), [first], share=share)
    for threshold in sorted(rise for rise in rises.values() if rise > 1e-5)[:: max(1, len(rises) // 6)]:
        for factor in (0.99, 1.01):
            left = {tuple(row) for row in prune(ngrams, threshold * factor).words[1].tolist()}
            expected = {gram for gram, rise in rises.items() if rise >= threshold * factor}
            close = {gram for gram, rise in rises.items() if abs(rise - threshold * factor) < 1e-6}
            assert left - close == expected - close


def test_more_pruning_drops_more_and_costs_perplexity() -> None:
    draw = random.Random(1)
    following = {(a, b): draw.choices(range(2, 6), k=2) for a in range(6) for b in range(6)}
    text = []
    for _ in range(300):
        line = [0, 0]
        for _ in range(8):
            line.append(draw.choice(following[line[-2], line[-1]] + [draw.randrange(2, 6)]))
        text.append(line[2:])
    ngrams = kneser_ney(text, SYMBOLS, 3)
    sizes, perplexities = [], []
    for threshold in (0.0, 1e-4, 1e-3, 1e-2):
        pruned = prune(ngrams, threshold)
        sizes.append(sum(map(len, pruned.words)))
        perplexities.append(perplexity(pruned, text))
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == 4
    assert perplexities == sorted(perplexities)


def test_count_cutoffs_keep_what_longer_ngrams_begin_with() -> None:
    ngrams = kneser_ney([[2, 3, 4]] * 3 + [[5, 3, 2]], SYMBOLS, 3)
    pruned = prune(ngrams, min_counts=[1, 2])
    assert [3, 4] in pruned.words[1].tolist() and [5, 3] not in pruned.words[1].tolist()
    assert [2, 3, 4] in pruned.words[2].tolist() and [5, 3, 2] not in pruned.words[2].tolist()
    assert prune(ngrams, min_counts=[9]).order == 1


def test_bad_input() -> None:
    ngrams = kneser_ney([[2, 3]], SYMBOLS, 2)
    with pytest.raises(UserError, match="threshold of entropy pruning"):
        prune(ngrams, -1.0)
    with pytest.raises(UserError, match="least counts"):
        prune(ngrams, min_counts=[0])
    with pytest.raises(ValueError, match="no counts"):
        prune(Ngrams("x", ngrams.names, ngrams.words, log_probs=ngrams.log_probs, backoffs=ngrams.backoffs), 0.1)


def test_a_file_of_a_pruned_model_is_read(tmp_path: Path) -> None:
    path = tmp_path / "small.arpa.gz"
    pruned = prune(kneser_ney(random_text(3), SYMBOLS, 3), 1e-3)
    write_arpa(path, pruned)
    torch.testing.assert_close(sums(read_arpa(path)), sums(pruned), atol=1e-4, rtol=0)
