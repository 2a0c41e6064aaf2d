"""Bundles of small untrained models: what `model=NAME` finds."""

from __future__ import annotations

from pathlib import Path

import torch

from helpers.acoustic_models import save_listener, streaming_model
from speechrnn.decoding.ngram.arpa import write_arpa
from speechrnn.decoding.ngram.kneser_ney import kneser_ney
from speechrnn.nn.acoustic import save_acoustic
from speechrnn.nn.language import LanguageModel, LanguageOptions, save_language
from speechrnn.text.tokenizers import CharTokenizer


def save_bundle(folder: Path, streaming: bool = False) -> Path:
    """Write acoustic/, language/ and ngram.arpa, all with the alphabet of `save_listener` and `streaming_model`."""
    if streaming:
        save_acoustic(folder / "acoustic", *streaming_model(), {})
    else:
        save_listener(folder / "acoustic")
    torch.manual_seed(0)
    tokenizer = CharTokenizer.build([], "ABC ")
    save_language(
        folder / "language",
        LanguageModel(len(tokenizer), LanguageOptions(units=8, embedding=6)),
        tokenizer,
        training={},
    )
    lines = [tokenizer.encode(text) for text in ("AB ABC", "CAB AB", "ABC CAB")]
    write_arpa(folder / "ngram.arpa", kneser_ney(lines, tokenizer.symbols, 3))
    return folder
