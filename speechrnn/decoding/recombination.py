"""Recombination of hypotheses with the same future (Ney & Ortmanns 2000, section 4).

Two hypotheses have the same future if all scorers are in the same state after them and their last labels are the same:
every further label adds as much to one as to the other.
"""

from __future__ import annotations

import torch
from torch import Tensor

DEMOTION = -1e4  # larger than any difference between hypotheses of a beam
FACTOR = 1_000_003  # a prime; keys of different states are hardly ever equal by it


def future_keys(last: Tensor, states: Tensor) -> Tensor:
    """Return keys, (utterances, beam), that are equal for hypotheses with the same future.

    Args:
        last: (utterances, beam) last labels.
        states: (utterances, beam, scorers) states after the hypotheses.
    """
    keys = last
    for column in states.unbind(2):
        keys = keys * FACTOR + column
    return keys


def demote_repeated(keys: Tensor, scores: Tensor) -> Tensor:
    """Return what each hypothesis loses in the ranking: 0 for the best one of each key, `DEMOTION` for the others.

    >>> demote_repeated(torch.tensor([[7, 5, 7]]), torch.tensor([[-2.0, -1.0, -1.5]]))
    tensor([[-10000.,      0.,      0.]])

    Args:
        keys: (..., beam).
        scores: (..., beam) of the hypotheses.
    """
    best_first = scores.argsort(dim=-1, descending=True, stable=True)
    ordered, places = keys.gather(-1, best_first).sort(dim=-1, stable=True)
    lost = torch.zeros_like(scores[..., 1:]).masked_fill_(ordered[..., 1:] == ordered[..., :-1], DEMOTION)
    return torch.zeros_like(scores).scatter_(-1, best_first.gather(-1, places[..., 1:]), lost)
