"""Test the claim of the food chain: with feedback every sentence is completed, the last word is not enough."""

from __future__ import annotations

import pytest
import torch

from speechrnn.core.errors import UserError
from speechrnn.data.corpora.grammar import FOOD_CHAIN
from speechrnn.tutorials.food_chain.model import (
    MISTAKES,
    STARTS,
    FoodChainOptions,
    LastWordNetwork,
    TrainedNetwork,
    Words,
    batch,
    complete,
    expected,
    run_experiment,
)
from speechrnn.tutorials.setting import repeatable


def trained(seed: int, cell: str = "lstm", fold_case: bool = True) -> tuple[Words, TrainedNetwork, TrainedNetwork]:
    options = FoodChainOptions(STARTS, fold_case, cell, units=16, steps=250, learning_rate=0.03, seed=seed)  # type: ignore[arg-type]
    with repeatable(seed):
        return run_experiment(options)


@pytest.mark.parametrize(("seed", "cell"), [(1, "lstm"), (2, "rnn_tanh"), (3, "gru")])
def test_feedback_completes_every_sentence_and_the_last_word_alone_cannot(seed: int, cell: str) -> None:
    _, feedback, last_word = trained(seed, cell)
    assert feedback.written == dict(zip(STARTS, FOOD_CHAIN, strict=True))
    assert feedback.right() == 5 and feedback.mistakes() == 0
    assert feedback.probabilities.diagonal().min() > 0.8
    # The same answer whatever came before: at best one of the five is right.
    assert last_word.right() <= 1
    torch.testing.assert_close(last_word.hidden, last_word.hidden[:1].expand(5, -1))
    assert last_word.history[-1] == pytest.approx(0.2, abs=0.02)
    assert (feedback.hidden - feedback.hidden[:1])[1:].norm(dim=1).min() > 0.5


def test_wrong_sentences_are_not_likely() -> None:
    words, feedback, _ = trained(1)
    for mistake in MISTAKES:
        indices = [0, *words.encode(mistake), 0]
        log_probs = feedback.model(torch.tensor(indices[:-1])[:, None])[:, 0].log_softmax(-1)
        start = words.encode(next(start for start in STARTS if mistake.startswith(start)))
        predicted = log_probs.gather(1, torch.tensor(indices[1:])[:, None])[len(start) :, 0]  # after the animal's name
        assert predicted.sum().exp() < 0.05


def test_without_folding_the_capital_letter_marks_the_beginning() -> None:
    words, feedback, last_word = trained(1, fold_case=False)
    assert words.encode("Sharks") != words.encode("sharks")
    assert feedback.right() == 5
    # No more "Sharks." at the beginning, yet who eats whom stays out of reach.
    assert "Sharks." not in last_word.written.values()
    assert last_word.right() <= 1


@pytest.mark.parametrize("fold_case", [True, False])
def test_sentences_come_back_from_indices(fold_case: bool) -> None:
    words = Words(fold_case)
    for sentence in FOOD_CHAIN:
        assert words.decode(words.encode(sentence)) == sentence


def test_a_word_from_elsewhere_is_named() -> None:
    with pytest.raises(UserError, match=r"'whales' is in none of the sentences; use feed, fishes"):
        Words(True).encode("Whales feed on")


def test_folding_makes_one_word_of_an_animal_at_both_ends() -> None:
    words = Words(True)
    assert words.encode("SHARKS") == words.encode("sharks")
    assert len(words.known) == 9 and "." not in words.known


def test_batches_end_where_sentences_end() -> None:
    words = Words(True)
    inputs, targets = batch(words)
    for column, sentence in enumerate(FOOD_CHAIN):
        indices = words.encode(sentence)
        assert inputs[: len(indices) + 1, column].tolist() == [0, *indices]
        assert targets[: len(indices) + 1, column].tolist() == [*indices, 0]
        assert (targets[len(indices) + 1 :, column] == -1).all()


def test_a_sentence_that_finds_no_end_is_broken_off() -> None:
    words = Words(True)
    model = LastWordNetwork(len(words.tokenizer), 4)
    torch.nn.init.zeros_(model.output.weight)
    model.output.bias.data[words.encode("on")] = 100.0
    written = complete(model, words, "Sharks")
    assert written.startswith("Sharks on on on") and written.endswith(" …") and len(written.split()) < 20


def test_the_right_sentence_of_a_beginning() -> None:
    assert expected("small FISHES") == FOOD_CHAIN[2]
    assert expected("S") is None and expected("Fishes") is None
