"""Ranges of numbers of different lengths, one after the other in a tensor."""

from __future__ import annotations

import torch
from torch import Tensor


def ranges(starts: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
    """Return the numbers from each start to the one before its end.

    >>> ranges(torch.tensor([3, 6, 8]), torch.tensor([5, 6, 9]))
    (tensor([0, 0, 2]), tensor([3, 4, 8]))

    Args:
        starts: (n,) integers.
        ends: (n,) integers, none below its start.

    Returns:
        (m,) places in `starts`, and (m,) numbers; m is the sum of the lengths.
    """
    counts = ends - starts
    places = torch.repeat_interleave(counts)
    before = starts - counts.cumsum(0) + counts
    return places, torch.arange(len(places), device=starts.device) + before.take(places)
