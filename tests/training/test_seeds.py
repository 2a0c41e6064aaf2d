"""Seeds of the steps of a training."""

from __future__ import annotations

import torch
from torch import nn

from speechrnn.training.seeds import step_seed


def test_dropout_differs_between_seeds_epochs_batches_and_processes() -> None:
    """On a CPU torch's generator takes 32 bits of a seed: seeds that differ above them draw the same masks."""
    steps = [
        (seed, epoch, batch, rank) for seed in range(4) for epoch in range(4) for batch in range(4) for rank in (0, 1)
    ]
    masks = set()
    for step in [*steps, (2**24 - 1, 0, 0, 0), (0, 10_000, 0, 0), (0, 0, 100_000, 0)]:
        assert 0 <= step_seed(*step) < 2**32
        torch.manual_seed(step_seed(*step))
        masks.add(tuple(nn.functional.dropout(torch.ones(64), 0.5).tolist()))
    assert len(masks) == len(steps) + 3
