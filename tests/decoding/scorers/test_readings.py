"""Readings of words that sound alike, against the enumeration of all of them."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from helpers.scorers import Bigram
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.decoding.scorers import readings
from speechrnn.decoding.scorers.readings import WAIT, Readings

VOCABULARY = 7
TOKENS = st.lists(st.integers(1, VOCABULARY - 1), min_size=1, max_size=3, unique=True)


def make(seed: int) -> tuple[Readings, Bigram]:
    model = Bigram(VOCABULARY, seed)
    found = Readings(model, "cpu")
    found.begin(model.begin(), {})
    return found, model


@given(seed=st.integers(0, 10**6), words=st.lists(TOKENS, max_size=5), ended=st.booleans())
def test_the_best_reading_is_the_most_probable_of_all(seed: int, words: list[list[int]], ended: bool) -> None:
    found, model = make(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readings, "MOST", 1000)
        patch.setattr(readings, "THRESHOLD", math.inf)
        patch.setattr(readings, "WAIT", 1000)
        best = found.best(words, ended)

    def score(tokens: tuple[int, ...]) -> float:
        line = (0, *tokens, 0) if ended else (0, *tokens)
        return sum(float(model.table[pair]) for pair in itertools.pairwise(line))

    assert all(token in alike for token, alike in zip(best, words, strict=True))
    assert score(best) == pytest.approx(max(map(score, itertools.product(*words))), abs=1e-5)


@given(seed=st.integers(0, 10**6), words=st.lists(TOKENS, min_size=1, max_size=14))
def test_sure_words_stay_whatever_follows(seed: int, words: list[list[int]]) -> None:
    found, _ = make(seed)
    sure: tuple[int, ...] = ()
    for count in range(1, len(words) + 1):
        best = found.best(words[:count], ended=False)
        assert best[: len(sure)] == sure
        assert found.sure(words[:count]) >= max(len(sure), count - WAIT)
        sure = best[: found.sure(words[:count])]
    assert found.best(words, ended=True)[: len(sure)] == sure


@given(seed=st.integers(0, 10**6), sequences=st.lists(st.lists(TOKENS, max_size=6), min_size=2, max_size=4))
def test_the_sequences_before_do_not_matter(seed: int, sequences: list[list[list[int]]]) -> None:
    found, _ = make(seed)
    for words in sequences:
        alone, _ = make(seed)
        assert found.best(words, ended=True) == alone.best(words, ended=True)
        assert found.sure(words) == alone.sure(words)


def test_a_word_that_sounds_like_no_other_asks_the_model_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found, model = make(0)
    monkeypatch.setattr(model, "log_probs", lambda states: pytest.fail("nothing is to be compared"))
    assert found.best([[3], [1]], ended=False) == (3, 1)
    assert found.sure([[3], [1]]) == 2


def test_a_word_is_chosen_by_the_one_after_it() -> None:
    found, model = make(0)
    model.table = torch.full((VOCABULARY, VOCABULARY), 0.05)
    model.table[0, 1], model.table[0, 2], model.table[2, 3] = 0.5, 0.3, 0.9
    model.table = model.table.log()
    assert found.best([[1, 2]], ended=False) == (1,)
    assert found.sure([[1, 2]]) == 0
    assert found.best([[1, 2], [3]], ended=False) == (2, 3)
