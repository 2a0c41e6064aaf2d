"""Tests of recorded gates: they are those of the model, on texts normalised as its training text was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.gates import make_model

from speechrnn.core.errors import UserError
from speechrnn.nn.language import LanguageModel, LanguageOptions
from speechrnn.text.tokenizers import CharTokenizer
from speechrnn.tutorials.gates.activations import (
    difference,
    encode,
    encode_sentence,
    held_out_tokens,
    record_activations,
)


def test_reading_is_what_the_model_computes() -> None:
    torch.manual_seed(0)
    tokenizer = CharTokenizer.build(["abc "])
    model = LanguageModel(len(tokenizer), LanguageOptions(layers=2, units=12, embedding=8)).eval()
    tokens = encode(tokenizer, ["ab c", "", "cab"])
    activations = record_activations(model, tokenizer, tokens)
    assert "".join(activations.tokens) == "ab c\n\ncab\n"
    assert [layer.forget.shape for layer in activations.layers] == [(10, 12), (10, 8)]
    assert difference(model, activations, tokens) < 1e-6
    part = activations.part(2, 5)
    assert part.tokens == [" ", "c", "\n"] and torch.equal(part.layers[1].cell, activations.layers[1].cell[2:5])


def test_models_without_gates_are_refused() -> None:
    tokenizer = CharTokenizer.build(["ab"])
    model = LanguageModel(len(tokenizer), LanguageOptions(cell="gru", layers=1, units=8, embedding=8)).eval()
    with pytest.raises(UserError, match="cells are gru"):
        record_activations(model, tokenizer, [1, 2])


def test_texts_are_normalised_as_the_models_were(tmp_path: Path) -> None:
    tokenizer = make_model(tmp_path / "model")
    sharks, eat, fish = (tokenizer.encode(word)[0] for word in ("sharks", "eat", "fish"))
    assert encode_sentence("SHARKS eat\nFish", tokenizer, tmp_path / "model") == [sharks, eat, 0, fish, 0]
    (tmp_path / "held.txt").write_text("Sharks EAT\nsharks\n")
    assert held_out_tokens(tmp_path / "model", tmp_path / "held.txt", tokenizer, most=4) == [sharks, eat, 0, sharks]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    tokenizer = make_model(tmp_path / "model")
    with pytest.raises(UserError, match=r"No held-out text lies beside .*held_out=FILE"):
        held_out_tokens(tmp_path / "model", None, tokenizer, most=100)
    with pytest.raises(UserError, match="sentence is empty"):
        encode_sentence(" \n ", tokenizer, tmp_path / "model")
