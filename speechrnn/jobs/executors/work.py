"""What executors are given and what they give back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

Worker = Callable[[Iterable[Any]], Iterator[Any]]
"""Takes items, gives one result for each; where a job is ordered, in the order of the items."""

MakeWorker = Callable[[], Worker]
"""Loads what a worker needs, in the process where it works. It is pickled, as are items and results."""

TRIES = 3  # workers that an item may take with it before it is given up


@dataclass(frozen=True)
class Lost:
    """The result of an item whose workers died at it, `TRIES` times; `reason` is a sentence."""

    item: Any
    reason: str


@dataclass(frozen=True)
class Chunk:
    """Items that are handed to a worker together.

    Attributes:
        place: how many items of the job come before the first of these.
        items: at least one.
        tries: workers that have died at them.
    """

    place: int
    items: tuple[Any, ...]
    tries: int = 0


class Executor(Protocol):
    """Where work is done."""

    def run(self, make_worker: MakeWorker, items: Iterable[Any], ordered: bool = False) -> Iterator[Any]:
        """The result of each item once, or `Lost`; in the order of the items if `ordered`, else as they come.

        Of the items, which may be without end, and of the results only those at work are in memory. After Ctrl-C
        nothing more is handed out; what is at work still comes, then KeyboardInterrupt is raised.

        Raises:
            UserError: `make_worker` raised one, in whatever process.
        """
        ...

    def stop(self) -> None:
        """Lets a run that goes on end early: what is at work still comes, and no more."""
        ...
