"""Language models and texts small enough that tests can follow them step by step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from speechrnn.data.tokens import TokenFile
from speechrnn.nn.language import LanguageModel, LanguageOptions
from speechrnn.text.tokenizers import Tokenizer


def toy_model(vocabulary: int, seed: int = 0, scale: float = 8.0, **options: object) -> LanguageModel:
    """An untrained model whose opinions are strong: it has dropout of all kinds, and is in training mode."""
    torch.manual_seed(seed)
    small = {"layers": 2, "units": 10, "embedding": 6, "cutoffs": (2, 4), "embedding_dropout": 0.2, "weight_drop": 0.3}
    model = LanguageModel(vocabulary, LanguageOptions(**{**small, **options}))  # type: ignore[arg-type]
    with torch.no_grad():
        model.softmax.weight.mul_(scale)
    return model


def token_file(ids: Sequence[int], documents: Sequence[int] = (0,)) -> TokenFile:
    """A text of given tokens, each of one character."""
    return TokenFile(np.array(ids, np.uint16), np.array(documents if len(ids) else [], np.int64), len(ids))


def encoded(text: str, tokenizer: Tokenizer) -> TokenFile:
    """A text whose lines all end."""
    ids = [token for line in text.splitlines() for token in (*tokenizer.encode(line), 0)]
    return TokenFile(np.array(ids, np.uint16), np.array([0]), len(text))


@torch.no_grad()
def step_by_step(model: LanguageModel, ids: Sequence[int]) -> torch.Tensor:
    """(tokens, vocabulary) what the model, in evaluation mode, expects at each place, one step at a time."""
    states, rows = model.start(1), []
    for before in [0, *ids[:-1]]:
        log_probs, states = model.score(states, torch.tensor([before]))
        rows.append(log_probs[0])
    return torch.stack(rows) if rows else torch.zeros(0, model.vocabulary)


def write_text(path: Path, text: str) -> Path:
    """A UTF-8 file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
