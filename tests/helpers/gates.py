"""A small word model, and activations of given memories, for the tests of the gates."""

from __future__ import annotations

from pathlib import Path

import torch

from speechrnn.nn.language import LanguageModel, LanguageOptions, save_language
from speechrnn.text.tokenizers import WordTokenizer
from speechrnn.tutorials.gates.activations import Activations
from speechrnn.tutorials.gates.cell import Step


def make_model(folder: Path) -> WordTokenizer:
    """Write a model directory; its text was lower-cased."""
    tokenizer = WordTokenizer.build(["sharks eat fish ."])
    model = LanguageModel(len(tokenizer), LanguageOptions(layers=1, units=8, embedding=8))
    lower = {"normalisation": {"case": "lower", "punctuation": "keep"}}
    save_language(folder, model, tokenizer, training=lower)
    return tokenizer


def activations_of(text: str, layers: list[torch.Tensor]) -> Activations:
    """Return the activations of a text of characters, of which only the memories matter."""
    zeros = [torch.zeros_like(cells) for cells in layers]
    steps = [
        Step(zero, zero, zero, output=zero, cell=cells, hidden=zero) for cells, zero in zip(layers, zeros, strict=True)
    ]
    return Activations(list(text), steps)
