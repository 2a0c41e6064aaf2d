"""The choice of one column of each row, by weight or by size.

Every function treats each row by itself: its result does not depend on the others, bit for bit.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

BELOW_ONE = 1 - 2.0**-40
NEVER = -math.inf  # the score of what must not be chosen
LOWEST = -1e30  # a score that can be subtracted from NEVER
BLOCK = 256  # weights summed at a time on the way to a draw
CHUNK = 2048  # columns whose weights are held at a time, so that a CPU's cache holds them; a multiple of BLOCK


class Buffers(threading.local):
    """Memory that is kept: new memory of the size of a softmax costs as much time as the arithmetic in it.

    Each thread has its own. What is asked for by the same name is the same memory.
    """

    def __init__(self, like: Tensor) -> None:
        self.like = like
        self.named: dict[str, Tensor] = {}

    def get(self, name: str, rows: int, columns: int) -> Tensor:
        """(rows, columns), holding whatever it held."""
        buffer = self.named.get(name)
        if buffer is None or buffer.shape[1] != columns or len(buffer) < rows:
            buffer = self.named[name] = self.like.new_zeros(rows, columns)
        return buffer[:rows]


@dataclass(frozen=True)
class Weights:
    """What draws go by: a column's weight is exp(score - `top`).

    Attributes:
        scores: (rows, columns).
        top: (rows, 1), about the largest score of each row.
        blocks: (rows, blocks) float64, the weights of BLOCK columns each.
    """

    scores: Tensor
    top: Tensor
    blocks: Tensor

    @property
    def log_sum(self) -> Tensor:
        """(rows,) float64: log of the sum of exp(score)."""
        return self.blocks.sum(1).log() + self.top.squeeze(1).double()

    def without(self, column: int) -> Weights:
        """The same where one column's score has been set to NEVER since."""
        block = torch.full_like(self.blocks[:, 0], column // BLOCK, dtype=torch.int64)
        self.blocks[:, column // BLOCK] = self.within(block).sum(1)
        return self

    def within(self, block: Tensor) -> Tensor:
        """The weights of a block of each row: (rows,) -> (rows, BLOCK) float64."""
        columns = block.unsqueeze(1) * BLOCK + torch.arange(BLOCK, device=block.device)
        outside = columns >= self.scores.shape[1]
        scores = self.scores.gather(1, columns.clamp(max=self.scores.shape[1] - 1)).masked_fill(outside, NEVER)
        return (scores.double() - self.top.double()).exp()

    def draw(self, uniform: Tensor | np.ndarray) -> Tensor:
        """A column of each row, by weight: (rows,) float64 from 0 to below 1 -> (rows,).

        The inverse of the cumulative sum, first over blocks, then within one. A column of score NEVER is not drawn,
        and not all may be so.
        """
        until = self.blocks.cumsum(1)
        wanted = torch.as_tensor(uniform, device=until.device).unsqueeze(1) * until[:, -1:]
        # The first block whose sum rises above what is wanted; so it is not empty.
        block = (until <= wanted).sum(1, keepdim=True)
        inside = self.blocks.gather(1, block)
        share = (wanted - (until.gather(1, block) - inside)) / inside
        within = self.within(block.squeeze(1)).cumsum(1)
        # As a share of the block's own sum, which rounding may set a little apart from its part of the whole.
        place = (within <= share.clamp(0.0, BELOW_ONE) * within[:, -1:]).sum(1)
        return block.squeeze(1) * BLOCK + place


def chunks(scores: Tensor) -> Iterator[slice]:
    """The columns, as many at a time as is best."""
    columns = scores.shape[1]
    size = CHUNK if scores.device.type == "cpu" else columns
    return (slice(start, min(start + size, columns)) for start in range(0, columns, size))


def weigh(scores: Tensor, buffers: Buffers, parts: Iterable[slice] | None = None) -> Weights:
    """Sums up what draws need.

    Args:
        scores: (rows, columns).
        parts: `chunks(scores)`, perhaps from somebody who fills in the scores of each as it comes.
    """
    tops, blocks = [], []
    for part in chunks(scores) if parts is None else parts:
        some = scores[:, part]
        width = some.shape[1]
        whole = -(-width // BLOCK) * BLOCK
        held = buffers.get(f"weights of {whole}", len(scores), whole)
        if width < whole:
            held[:, width:] = 0.0
        tops.append(some.amax(1, keepdim=True).clamp_(min=LOWEST))
        torch.sub(some, tops[-1], out=held[:, :width])
        held[:, :width].exp_()
        blocks.append(held.view(len(held), -1, BLOCK).sum(2).double())
    if len(tops) == 1:
        return Weights(scores, tops[0], blocks[0])
    top = torch.cat(tops, 1).amax(1, keepdim=True)
    scaled = [sums * (one.double() - top.double()).exp() for one, sums in zip(tops, blocks, strict=True)]
    return Weights(scores, top, torch.cat(scaled, 1))


def most_probable(scores: Tensor) -> Tensor:
    """(rows, columns) -> (rows,); the first of several that are alike."""
    if scores.device.type != "cpu":
        return scores.argmax(1)
    return torch.from_numpy(scores.numpy().argmax(1))  # ten times as fast as torch's on a CPU


def pick(values: Tensor, columns: Tensor) -> Tensor:
    """(rows, columns), (rows,) -> (rows,)."""
    return values.gather(1, columns.unsqueeze(1)).squeeze(1)
