"""Draws from categorical distributions, one a row, given as scores.

Each function treats each row by itself: its result does not depend on the other rows, bit for bit.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

VECTOR = 32  # elements that torch's CPU loops take at a time, at most
BELOW_ONE = 1 - 2.0**-40
MASKED = -math.inf  # score of a token that must not be chosen
LOWEST = -1e30  # a score that can be subtracted from MASKED
BLOCK = 256  # weights summed at a time on the way to a draw
CHUNK = 2048  # columns whose weights are held at a time, so that a CPU's cache holds them; a multiple of BLOCK


def shape_independent(function: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    """Apply an elementwise function with the same rounding of each element, whatever the shape.

    torch's CPU loops take VECTOR elements at a time, and round those left over at the end by other code.
    """
    flat = values.flatten()
    padding = flat.new_zeros(-len(flat) % VECTOR)
    return function(torch.cat([flat, padding]))[: len(flat)].view_as(values)


class Buffers(threading.local):
    """Reusable memory: new memory of the size of a softmax costs as much time as the arithmetic in it.

    Each thread has its own. The same name stands for the same memory.
    """

    def __init__(self, like: Tensor) -> None:
        """Allocate the buffers. `like`: a tensor of their type and device."""
        self.like = like
        self.named: dict[str, Tensor] = {}

    def get(self, name: str, rows: int, columns: int) -> Tensor:
        """Return a (rows, columns) tensor of arbitrary content."""
        buffer = self.named.get(name)
        if buffer is None or buffer.shape[1] != columns or len(buffer) < rows:
            buffer = self.named[name] = self.like.new_zeros(rows, columns)
        return buffer[:rows]


@dataclass(frozen=True)
class Categorical:
    """Unnormalised categorical distributions: the weight of a column is exp(score - top).

    Attributes:
        scores: (rows, columns).
        top: (rows, 1), about the largest score of each row.
        blocks: (rows, blocks) float64, sums of the weights of BLOCK columns each.
    """

    scores: Tensor
    top: Tensor
    blocks: Tensor

    @classmethod
    def from_scores(cls, scores: Tensor, buffers: Buffers, chunks: Iterable[slice] | None = None) -> Categorical:
        """Sum up the weights.

        Args:
            scores: (rows, columns).
            buffers: memory to work in.
            chunks: `column_chunks(scores)`, perhaps from an iterator that fills in the scores of each as it comes.
        """
        tops, blocks = [], []
        for chunk in column_chunks(scores) if chunks is None else chunks:
            part = scores[:, chunk]
            width = part.shape[1]
            padded = -(-width // BLOCK) * BLOCK
            weights = buffers.get(f"weights of {padded}", len(scores), padded)
            if width < padded:
                weights[:, width:] = 0.0
            tops.append(part.amax(1, keepdim=True).clamp_(min=LOWEST))
            torch.sub(part, tops[-1], out=weights[:, :width])
            weights[:, :width].exp_()
            blocks.append(weights.view(len(weights), -1, BLOCK).sum(2).double())
        if len(tops) == 1:
            return cls(scores, tops[0], blocks[0])
        top = torch.cat(tops, 1).amax(1, keepdim=True)
        scaled = [
            sums * shape_independent(torch.exp, own.double() - top.double())
            for own, sums in zip(tops, blocks, strict=True)
        ]
        return cls(scores, top, torch.cat(scaled, 1))

    @property
    def log_sum(self) -> Tensor:
        """Return log of the sum of exp(score) of each row: (rows,) float64."""
        return shape_independent(torch.log, self.blocks.sum(1)) + self.top.squeeze(1).double()

    def update_masked(self, column: int) -> Categorical:
        """Correct the sums after one column's score was set to MASKED."""
        block = torch.full_like(self.blocks[:, 0], column // BLOCK, dtype=torch.int64)
        self.blocks[:, column // BLOCK] = self.block_weights(block).sum(1)
        return self

    def block_weights(self, block: Tensor) -> Tensor:
        """Compute the weights of one block of each row: (rows,) -> (rows, BLOCK) float64."""
        columns = block.unsqueeze(1) * BLOCK + torch.arange(BLOCK, device=block.device)
        outside = columns >= self.scores.shape[1]
        scores = self.scores.gather(1, columns.clamp(max=self.scores.shape[1] - 1)).masked_fill(outside, MASKED)
        return (scores.double() - self.top.double()).exp()

    def draw(self, uniform: Tensor | np.ndarray) -> Tensor:
        """Draw a column of each row by its weight, from the inverse of the cumulative sum.

        Args:
            uniform: (rows,) float64, random numbers from 0 to below 1.

        Returns:
            (rows,) columns. A column of score MASKED is not drawn; not all of a row may be so.
        """
        until = self.blocks.cumsum(1)
        wanted = torch.as_tensor(uniform, device=until.device).unsqueeze(1) * until[:, -1:]
        # The first block whose sum rises above what is wanted; so it is not empty.
        block = (until <= wanted).sum(1, keepdim=True)
        inside = self.blocks.gather(1, block)
        share = (wanted - (until.gather(1, block) - inside)) / inside
        within = self.block_weights(block.squeeze(1)).cumsum(1)
        # As a share of the block's own sum, which rounding may set a little apart from its part of the whole.
        place = (within <= share.clamp(0.0, BELOW_ONE) * within[:, -1:]).sum(1)
        return block.squeeze(1) * BLOCK + place


def column_chunks(scores: Tensor) -> Iterator[slice]:
    """Yield the columns, as many at a time as are fastest."""
    columns = scores.shape[1]
    size = CHUNK if scores.device.type == "cpu" else columns
    return (slice(start, min(start + size, columns)) for start in range(0, columns, size))


def row_argmax(scores: Tensor) -> Tensor:
    """Return the column of each row's largest score, the first of equals: (rows, columns) -> (rows,)."""
    if scores.device.type != "cpu":
        return scores.argmax(1)
    return torch.from_numpy(scores.numpy().argmax(1))  # ten times as fast as torch's on a CPU


def pick_columns(values: Tensor, columns: Tensor) -> Tensor:
    """Return one value of each row: (rows, columns), (rows,) -> (rows,)."""
    return values.gather(1, columns.unsqueeze(1)).squeeze(1)
