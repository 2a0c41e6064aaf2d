"""What every lesson begins with: its options, and random numbers that come out the same."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import fields
from typing import TypeVar

import torch
from omegaconf import DictConfig, OmegaConf

from speechrnn.core.config import build

OptionsT = TypeVar("OptionsT")


def lesson_options(cls: type[OptionsT], config: DictConfig) -> OptionsT:
    """The lesson's own keys as its dataclass; `name`, `output` and `restart` are the run's.

    Raises:
        UserError: a key or a value that does not fit.
    """
    own = [key.name for key in fields(cls)]  # type: ignore[arg-type]
    return build(cls, OmegaConf.masked_copy(config, own), "")


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
