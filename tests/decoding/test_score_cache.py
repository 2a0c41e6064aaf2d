"""The scores of prefixes: computed once for each, added up along the path, dropped with their nodes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.decoding.prefix_trie import NOWHERE, PrefixTrie
from speechrnn.decoding.score_cache import EMPTY, ScoreCache
from speechrnn.decoding.scorers.base import WeightedScorer

SYMBOLS = 3


class Counting:
    """A scorer whose state is the number of labels read; label k scores -k after each, and the end -10."""

    def __init__(self, end: float = -10.0) -> None:
        self.asked = 0  # states of which scores were computed
        self.end = end

    def begin(self) -> int:
        return 0

    def extend(self, states: Tensor, labels: Tensor) -> Tensor:
        return states + 1

    def scores(self, states: Tensor) -> Tensor:
        self.asked += len(states)
        return -torch.arange(SYMBOLS).float().expand(len(states), -1)

    def finish(self, states: Tensor) -> Tensor:
        return torch.full((len(states),), self.end)


def cache_of(scorer: Counting, weight: float = 0.5) -> ScoreCache:
    return ScoreCache([WeightedScorer(scorer, weight, "counting")], PrefixTrie(SYMBOLS, 2, limit=100, scorers=1))


def test_a_prefix_is_scored_once_and_all_roots_share_a_row() -> None:
    scorer = Counting()
    cache = cache_of(scorer)
    first, second = cache.rows(cache.trie.roots).tolist()
    assert first == second != EMPTY and scorer.asked == 1
    nodes = cache.trie.extend(cache.trie.roots, torch.tensor([1, 2]))
    rows = cache.rows(nodes)
    assert scorer.asked == 3 and cache.table[rows].tolist() == [[0.0, -0.5, -1.0]] * 2
    assert torch.equal(cache.rows(nodes), rows) and scorer.asked == 3


def test_the_end_has_the_weighted_score_and_the_sums_of_the_path() -> None:
    cache = cache_of(Counting())
    node = cache.trie.extend(cache.trie.roots[:1], torch.tensor([2]))
    cache.rows(node)
    total, parts = cache.finish(torch.cat([node, torch.tensor([NOWHERE])]))
    assert total.tolist() == [-5.0, 0.0] and parts[:, 0].tolist() == [-10.0, 0.0]
    assert cache.trie.sums[node].tolist() == [[-2.0]]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_scorer_without_numbers_is_named(value: float) -> None:
    cache = cache_of(Counting(end=value))
    _, parts = cache.finish(cache.trie.roots)
    with pytest.raises(UserError, match="counting"):
        cache.refuse_nan(parts)


def test_rows_of_dropped_nodes_are_dropped() -> None:
    cache = cache_of(Counting())
    nodes = cache.trie.extend(cache.trie.roots, torch.tensor([1, 2]))
    cache.rows(nodes)
    before = cache.table[cache.trie.row[nodes[:1]]].clone()
    cache.trie.row[nodes[1]] = -1
    size = cache.size
    cache.compact()
    assert cache.size == size - 1 == len(cache.table)
    assert torch.equal(cache.table[cache.trie.row[nodes[:1]]], before)
