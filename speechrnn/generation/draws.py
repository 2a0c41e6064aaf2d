"""The choice of one column of each row, by weight or by size.

Every function treats each row by itself: its result does not depend on the others, bit for bit.
"""

from __future__ import annotations

import math
import threading

import numpy as np
import torch
from torch import Tensor

NEVER = -math.inf  # the score of what must not be chosen
BLOCK = 256  # weights summed at a time on the way to a draw


class Buffers(threading.local):
    """Memory that is kept: new memory of the size of a softmax costs as much time as the arithmetic in it.

    Each thread has its own. What is asked for by the same name is the same memory.
    """

    def __init__(self, like: Tensor) -> None:
        self.like = like
        self.named: dict[str, Tensor] = {}

    def get(self, name: str, rows: int, columns: int) -> Tensor:
        """(rows, columns), zero where nothing was ever written."""
        buffer = self.named.get(name)
        if buffer is None or buffer.shape[1] != columns or len(buffer) < rows:
            buffer = self.named[name] = self.like.new_zeros(rows, columns)
        return buffer[:rows]


def weigh(scores: Tensor, buffers: Buffers) -> tuple[Tensor, Tensor]:
    """exp(score - the row's largest): (rows, columns) -> (rows, whole blocks of columns), the largest (rows, 1)."""
    columns = scores.shape[1]
    weights = buffers.get(f"weights of {columns}", len(scores), -(-columns // BLOCK) * BLOCK)
    top = scores.amax(1, keepdim=True)
    part = weights[:, :columns]
    torch.sub(scores, top, out=part)
    part.exp_()
    return weights, top


def sums(weights: Tensor) -> Tensor:
    """(rows, columns) -> (rows, blocks) float64."""
    return weights.unflatten(1, (-1, BLOCK)).sum(2).double()


def draw(weights: Tensor, uniform: Tensor | np.ndarray) -> Tensor:
    """A column of each row, by weight: (rows, columns) not below 0, (rows,) float64 from 0 to below 1 -> (rows,).

    The inverse of the cumulative sum, first over blocks, then within one. A column of weight 0 is never drawn, and one
    of the weights must be above 0.
    """
    blocks = sums(weights)
    until = blocks.cumsum(1)
    wanted = torch.as_tensor(uniform, device=weights.device).unsqueeze(1) * until[:, -1:]
    # The first block whose sum rises above what is wanted; so it is not empty.
    block = (until <= wanted).sum(1, keepdim=True)
    inside = blocks.gather(1, block)
    share = (wanted - (until.gather(1, block) - inside)) / inside
    rows = torch.arange(len(weights), device=weights.device)
    within = weights.unflatten(1, (-1, BLOCK))[rows, block.squeeze(1)].double().cumsum(1)
    # As a share of the block's own sum, which rounding may set a little apart from its part of the whole.
    place = (within <= share.clamp(0.0, 1 - 2.0**-40) * within[:, -1:]).sum(1)
    return block.squeeze(1) * BLOCK + place


def most_probable(scores: Tensor) -> Tensor:
    """(rows, columns) -> (rows,); the first of several that are alike."""
    if scores.device.type != "cpu":
        return scores.argmax(1)
    return torch.from_numpy(scores.numpy().argmax(1))  # ten times as fast as torch's on a CPU


def pick(values: Tensor, columns: Tensor) -> Tensor:
    """(rows, columns), (rows,) -> (rows,)."""
    return values.gather(1, columns.unsqueeze(1)).squeeze(1)
