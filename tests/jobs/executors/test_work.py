"""Tests of what travels between a driver and its workers."""

from __future__ import annotations

import pickle

import pytest

from speechrnn.jobs.executors.local import LocalExecutor
from speechrnn.jobs.executors.work import TRIES, Chunk, Executor, Lost


@pytest.mark.parametrize("value", [Chunk(3, ("a.wav", "b.wav"), tries=TRIES), Lost("a.wav", "Three died at it.")])
def test_chunks_and_losses_travel_to_other_processes(value: object) -> None:
    assert pickle.loads(pickle.dumps(value)) == value


def test_an_executor_has_both_methods() -> None:
    executor: Executor = LocalExecutor()
    assert list(executor.run(lambda: lambda items: (2 * item for item in items), [1, 2])) == [2, 4]
    executor.stop()
