"""Random numbers that come out the same in every run of a tutorial."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def repeatable(seed: int) -> Iterator[None]:
    """Inside, the same seed gives the same numbers, whatever ran before and however many cores there are.

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
