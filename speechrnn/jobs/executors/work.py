"""The types of executors, workers and chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

Worker = Callable[[Iterable[Any]], Iterator[Any]]
"""Takes items and yields one result for each; where a job is ordered, in the order of the items."""

MakeWorker = Callable[[], Worker]
"""Loads a worker in the process where it works. It is pickled, as are items and results."""

TRIES = 3  # workers that may die at an item before it counts as lost


@dataclass(frozen=True)
class Lost:
    """Stand for the result of an item at which `TRIES` workers have died.

    >>> Lost("a.wav", "Three workers have died at it.").item
    'a.wav'

    Attributes:
        item: the item.
        reason: a sentence.
    """

    item: Any
    reason: str


@dataclass(frozen=True)
class Chunk:
    """Hold items that are sent to a worker together.

    >>> Chunk(place=10, items=("a.wav", "b.wav")).tries
    0

    Attributes:
        place: index of the first of the items in the job.
        items: at least one.
        tries: how many workers have died at them.
    """

    place: int
    items: tuple[Any, ...]
    tries: int = 0


class Executor(Protocol):
    """Run workers on items.

    >>> from speechrnn.jobs.executors.local import LocalExecutor
    >>> executor: Executor = LocalExecutor()
    >>> list(executor.run(lambda: lambda numbers: (2 * number for number in numbers), [1, 2, 3]))
    [2, 4, 6]
    """

    def run(self, make_worker: MakeWorker, items: Iterable[Any], ordered: bool = False) -> Iterator[Any]:
        """Yield the result of each item once, or `Lost`; in the order of the items if `ordered`, else as they come.

        Only the items and results in progress are in memory; the items may be endless. After Ctrl-C nothing more is
        submitted; the results of what was submitted still come, then KeyboardInterrupt is raised.

        Args:
            make_worker: loads a worker where it works.
            items: what to work on.
            ordered: yield the results in the order of the items.

        Raises:
            UserError: `make_worker` raised one, in whatever process.
        """
        ...

    def stop(self) -> None:
        """End a run early: the results of what was submitted still come, and no more."""
        ...
