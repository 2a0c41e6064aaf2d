"""Scorers against sums made by hand: over models whose every probability stands in a table."""

from __future__ import annotations

import math

import pytest
import torch
from helpers.language_models import toy_model
from helpers.scorers import CHARS, SUBWORDS, WHOLE, WORDS, Bigram, closed, total
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.core.errors import UserError
from speechrnn.decoding.scorers.base import LabelScorer, Scorer, WeightedScorer, WordInsertionBonus, match_symbols
from speechrnn.decoding.scorers.hot_words import HotWords
from speechrnn.decoding.scorers.lexicon import Lexicon
from speechrnn.decoding.scorers.neural import NeuralModel
from speechrnn.decoding.scorers.word import WordScorer
from speechrnn.text.tokenizers import Tokenizer


def test_a_weight_multiplies_what_is_possible_and_leaves_the_rest_impossible() -> None:
    values = torch.tensor([-2.0, -math.inf, 0.0])
    weighted = WeightedScorer(WordInsertionBonus(CHARS), 0.5, "length")
    assert weighted.weigh(values).tolist() == [-1.0, -math.inf, 0.0]
    for weight in (0.0, -1.0, 1e-40, 1e-240):
        assert WeightedScorer(WordInsertionBonus(CHARS), weight, "length").weigh(values)[1] == -math.inf


@pytest.mark.parametrize("weight", [math.nan, math.inf])
def test_a_weight_that_is_no_number_is_refused_by_name(weight: float) -> None:
    with pytest.raises(UserError, match=r"weight of language is (nan|inf); give a finite number"):
        WeightedScorer(WordInsertionBonus(CHARS), weight, "language")


@given(st.text("acehnt ", max_size=8))
def test_a_label_scorer_adds_up_to_the_models_probability_of_the_line(text: str) -> None:
    language = ["<blank>", *"tnheca q"]  # another order, and a character more
    model = Bigram(len(language))
    scorer = LabelScorer(model, match_symbols(CHARS.symbols, language))
    expected = model.of([language.index(letter) for letter in text])
    assert total(scorer, CHARS.encode(text)) == pytest.approx(expected, abs=1e-4)


def test_another_alphabet_is_told_symbol_by_symbol() -> None:
    with pytest.raises(UserError) as error:
        match_symbols(["<blank>", "A", "É", " "], ["<blank>", "<unk>", "A", "e", " "])
    message = str(error.value)
    assert "lacks 'É' (U+00C9 LATIN CAPITAL LETTER E WITH ACUTE);" in message
    assert "the acoustic model lacks '<unk>', 'e' (U+0065" in message
    assert "Train the language model with the acoustic model's tokenizer" in message
    with pytest.raises(UserError, match="and 18 more"):
        match_symbols(["<blank>", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ"], ["<blank>", *"abc"])


@pytest.mark.parametrize("tokenizer", [CHARS, SUBWORDS, WHOLE], ids=lambda tokenizer: tokenizer.kind)
@pytest.mark.parametrize("text", ["", "the", "the cat a", "a a a a"])
def test_length_counts_labels_or_words(tokenizer: Tokenizer, text: str) -> None:
    labels = tokenizer.encode(text)
    assert total(WordInsertionBonus(tokenizer, "label"), labels) == len(labels)
    assert total(WordInsertionBonus(tokenizer), labels) == len(text.split())


def test_length_counts_no_word_between_two_spaces() -> None:
    assert total(WordInsertionBonus(CHARS), CHARS.encode("  the   cat ")) == 2


@pytest.mark.parametrize("tokenizer", [CHARS, SUBWORDS, WHOLE], ids=lambda tokenizer: tokenizer.kind)
def test_no_hypotheses_are_no_rows(tokenizer: Tokenizer) -> None:
    scorers: list[Scorer] = [
        LabelScorer(NeuralModel(toy_model(len(tokenizer))), torch.arange(len(tokenizer))),
        WordScorer(*closed(), tokenizer),
        HotWords({"the": 1.0}, tokenizer),
        Lexicon(WORDS, tokenizer),
        WordInsertionBonus(tokenizer),
    ]
    none = torch.zeros(0, dtype=torch.long)
    for scorer in scorers:
        scorer.begin()
        assert scorer.scores(none).shape == (0, len(tokenizer))
        assert scorer.finish(none).shape == (0,)
        assert scorer.extend(none, none).shape == (0,)
