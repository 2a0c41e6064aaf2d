"""Masks of the frames that belong to each row of a batch."""

from __future__ import annotations

import torch
from torch import Tensor


def frame_mask(lengths: Tensor, frames: int) -> Tensor:
    """Return (batch, frames) booleans, true where a frame lies within the lengths (batch,).

    >>> frame_mask(torch.tensor([1, 2]), 2).tolist()
    [[True, False], [True, True]]
    """
    return torch.arange(frames, device=lengths.device) < lengths[:, None]
