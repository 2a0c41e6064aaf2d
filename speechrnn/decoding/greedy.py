"""Greedy CTC decoding (Graves et al. 2006, section 3.2): each frame's likeliest symbol, repeats joined, no blanks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from speechrnn.decoding.hypothesis import Hypothesis
from speechrnn.nn.ctc import BLANK


def greedy(log_probs: Tensor, frames: Tensor) -> list[Hypothesis]:
    """Decode a batch greedily.

    Args:
        log_probs: (batch, frames, symbols) natural logarithms.
        frames: (batch,) true frames.

    Returns:
        one hypothesis an utterance; its score is the log-probability of its best path, a lower bound of its own.

    >>> greedy(torch.tensor([[[0.1, 0.9], [0.2, 0.8], [0.7, 0.3]]]).log(), torch.tensor([3]))[0].tokens
    (1,)
    """
    return [hypothesis for hypothesis, _, _ in best_paths(log_probs, frames)]


def best_paths(log_probs: Tensor, frames: Tensor) -> list[tuple[Hypothesis, np.ndarray, np.ndarray]]:
    """Decode as `greedy`, with the path of each hypothesis: (frames,) symbols and (frames,) log-probabilities."""
    values, symbols = log_probs.max(dim=2)
    inside = torch.arange(log_probs.shape[1], device=frames.device) < frames[:, None]
    scores = (values * inside).sum(1).tolist()
    paths, peaks = symbols.cpu().numpy(), values.float().cpu().numpy()
    found = []
    for path, peak, count, score in zip(paths, peaks, frames.tolist(), scores, strict=True):
        path, peak = path[:count], peak[:count]
        changes = path[np.flatnonzero(np.diff(path, prepend=-1))]
        tokens = tuple(changes[changes != BLANK].tolist())
        found.append((Hypothesis(tokens, score, score, parts={}), path, peak))
    return found
