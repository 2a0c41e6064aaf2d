"""Work in this process."""

from __future__ import annotations

import itertools
import os

from helpers.workers import Squares

from speechrnn.jobs.executors import ExecutorOptions, make_executor


def test_items_are_taken_as_they_are_needed_and_stop_ends_them() -> None:
    executor = make_executor(ExecutorOptions())
    found = []
    for result in executor.run(Squares(), itertools.count(), ordered=True):
        found.append(result)
        if len(found) == 5:
            executor.stop()
    assert found == [(number, number**2, os.getpid()) for number in range(5)]
