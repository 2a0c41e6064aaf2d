"""Greedy CTC decoding (Graves et al. 2006, section 3.2): each frame's likeliest symbol, repeats joined, no blanks."""

from __future__ import annotations

import torch
from torch import Tensor

from speechrnn.decoding.hypothesis import Reading
from speechrnn.nn.acoustic import BLANK


def greedy(log_probs: Tensor, frames: Tensor) -> list[Reading]:
    """Decodes a batch.

    Args:
        log_probs: (batch, frames, symbols).
        frames: (batch,) true frames.

    Returns:
        one reading an utterance; its score is the log-probability of its best path, which bounds its own from below.
    """
    values, symbols = log_probs.max(dim=2)
    inside = torch.arange(log_probs.shape[1], device=frames.device) < frames[:, None]
    scores = (values * inside).sum(1).tolist()
    readings = []
    for row, count, score in zip(symbols.cpu(), frames.tolist(), scores, strict=True):
        path = torch.unique_consecutive(row[:count]).tolist()
        tokens = tuple(symbol for symbol in path if symbol != BLANK)
        readings.append(Reading(tokens, score, score, {}))
    return readings
