from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from speechrnn.decoding.hypothesis import Hypothesis
from speechrnn.decoding.rescoring import rescore
from speechrnn.decoding.scorers.base import TableScorer, WeightedScorer


def favours(label: int, forbidden: int | None = None) -> TableScorer:
    """1 for each such label, 10 where the utterance ends with it."""
    gains = torch.zeros(2, 4)
    gains[:, label] = 1.0
    if forbidden is not None:
        gains[:, forbidden] = -math.inf
    follow = torch.zeros(2, 4, dtype=torch.long)
    follow[:, label] = 1
    return TableScorer(follow, gains, torch.tensor([0.0, 10.0]), start=0)


def hypothesis(*tokens: int, score: float = 0.0) -> Hypothesis:
    return Hypothesis(tokens, score, score, parts={"language": -1.0})


def test_each_reading_is_scored_whole_and_the_best_comes_first() -> None:
    first = [hypothesis(1, 2, 2, score=3.0), hypothesis(2, 1, score=1.0), hypothesis(score=0.5)]
    second = [hypothesis(2, score=-5.0)]
    (candidate, other) = rescore([first, second], WeightedScorer(favours(2), 0.5, "rescoring"))
    assert [found.tokens for found in candidate] == [(1, 2, 2), (2, 1), ()]
    assert [found.score for found in candidate] == pytest.approx([3.0 + 6.0, 1.0 + 0.5, 0.5])
    assert candidate[0].parts == {"language": -1.0, "rescoring": 12.0} and candidate[0].acoustic == 3.0
    assert other[0].score == pytest.approx(-5.0 + 5.5)
    ranked = rescore(
        [[hypothesis(1, score=4.0), hypothesis(2, score=0.0)]], WeightedScorer(favours(2), 1.0, "rescoring")
    )[0]
    assert [found.tokens for found in ranked] == [(2,), (1,)]


def test_what_is_forbidden_is_dropped_at_any_weight() -> None:
    found = rescore(
        [[hypothesis(3, score=9.0), hypothesis(1)]], WeightedScorer(favours(2, forbidden=3), 0.0, "rescoring")
    )[0]
    assert [(candidate.tokens, candidate.score) for candidate in found] == [((1,), 0.0)]


def test_where_all_are_forbidden_the_search_decides() -> None:
    only = [hypothesis(3, score=9.0), hypothesis(3, 3, score=1.0)]
    (found,) = rescore([only], WeightedScorer(favours(2, forbidden=3), 1.0, "rescoring"))
    assert found == only


def test_no_readings() -> None:
    assert rescore([], WeightedScorer(favours(2), 1.0, "rescoring")) == []


def test_rows_do_not_depend_on_their_batch() -> None:
    class Noticing(TableScorer):
        asked: list[int]

        def scores(self, states: Tensor) -> Tensor:
            self.asked.append(len(states))
            return super().scores(states)

    base = favours(1)
    scorer = Noticing(base.follow, base.gains, base.ends, start=base.start)
    scorer.asked = []
    long, short = [hypothesis(1, 2, 1)], [hypothesis(2), hypothesis()]
    together = rescore([long, short], WeightedScorer(scorer, 1.0, "rescoring"))
    assert scorer.asked == [2, 1, 1]  # what has ended is asked no more
    assert together == [
        rescore([candidate], WeightedScorer(favours(1), 1.0, "rescoring"))[0] for candidate in (long, short)
    ]
