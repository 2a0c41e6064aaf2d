"""Emissions for texts: what an acoustic model would give that is sure, or of two minds."""

from __future__ import annotations

import torch
from torch import Tensor

from speechrnn.text.tokenizers import CharTokenizer

TOKENIZER = CharTokenizer.build([], "ABCDEHT ")


def emission(text: str, doubts: dict[int, tuple[str, float]] | None = None, sure: float = 0.98) -> Tensor:
    """(frames, symbols) log-probabilities: a frame a character and a blank after it.

    Args:
        doubts: place in the text -> another character and its probability there.
    """
    size = len(TOKENIZER)

    def frame(shares: dict[int, float]) -> Tensor:
        rest = (1 - sum(shares.values())) / (size - len(shares))
        return torch.tensor([shares.get(symbol, rest) for symbol in range(size)]).log()

    rows = [frame({0: sure})]
    for place, label in enumerate(TOKENIZER.encode(text)):
        shares = {label: sure}
        if doubts and place in doubts:
            other, probability = doubts[place]
            shares = {label: sure - probability, TOKENIZER.encode(other)[0]: probability}
        rows += [frame(shares), frame({0: sure})]
    return torch.stack(rows)
