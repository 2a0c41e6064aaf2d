"""Seeds of random numbers that depend on the place in a training only, so that a resumed training draws the same."""

from __future__ import annotations

import numpy as np


def step_seed(seed: int, epoch: int, batch: int, rank: int) -> int:
    """Return the seed of the random numbers of one step: dropout, and masks that are drawn with torch.

    torch's generator on a CPU (mt19937) takes the lower 32 bits of a seed and drops the others, so all parts are hashed
    into 32 bits.

    Args:
        seed: of the training.
        epoch, batch: of the step, from 0.
        rank: of the process.

    >>> step_seed(0, 0, 0, 0) == step_seed(1, 0, 0, 0)
    False
    """
    return int(np.random.SeedSequence([seed, epoch, batch, rank]).generate_state(1)[0])
