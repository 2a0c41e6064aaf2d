"""Spellings and the tokens that they stand for."""

from __future__ import annotations

import itertools

import torch

from speechrnn.decoding.scorers.spelt_words import SpeltWords

WORDS = SpeltWords([[3], [1, 4], [2], [5, 3, 0]], unknown=2)


def test_a_spelling_of_several_words_is_taken_for_the_most_probable() -> None:
    log_probs = torch.tensor([[-1.0, -2.0, -3.0, -4.0, -1.5, -6.0], [-9.0, -2.0, -3.0, -4.0, -2.5, -6.0]])
    values, tokens = WORDS.choose(log_probs)
    assert values.tolist() == [[-4.0, -1.5, -3.0, -1.0], [-4.0, -2.0, -3.0, -4.0]]
    assert tokens.tolist() == [[4, 0], [1, 3]]


def test_the_tokens_of_each_spelling_stand_between_its_offsets() -> None:
    offsets = WORDS.offsets.tolist()
    found = [WORDS.flat[first:last].tolist() for first, last in itertools.pairwise(offsets)]
    assert found == [[3], [1, 4], [2], [5, 3, 0]]


def test_words_that_sound_like_no_other_form_no_groups() -> None:
    words = SpeltWords([[2], [1]], unknown=0)
    values, tokens = words.choose(torch.tensor([[-1.0, -2.0, -3.0]]))
    assert values.tolist() == [[-3.0, -2.0]]
    assert tokens.shape == (1, 0)
