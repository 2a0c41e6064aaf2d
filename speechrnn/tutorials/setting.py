"""Random numbers that come out the same in every run of a tutorial, and a check of the loss."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from speechrnn.core.errors import UserError


@contextlib.contextmanager
def repeatable(seed: int) -> Iterator[None]:
    """Fix seed and threads: inside, results depend neither on what ran before nor on the number of cores.

    One thread is also the fastest for networks of a few dozen units: more would only wait for each other.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


def check_loss(loss: Tensor) -> None:
    """Stop a training that has diverged.

    Raises:
        UserError: the loss is not finite.
    """
    if not torch.isfinite(loss):
        raise UserError("The training has diverged: its loss is not a finite number. Give a smaller learning_rate.")
