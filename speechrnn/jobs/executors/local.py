"""Do the work in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from speechrnn.jobs.executors.work import MakeWorker


class LocalExecutor:
    """Run one worker in this process, which gets all items as one stream."""

    def __init__(self) -> None:
        self.stopping = False

    def run(self, make_worker: MakeWorker, items: Iterable[Any], ordered: bool = False) -> Iterator[Any]:
        """See `Executor`."""
        self.stopping = False
        yield from make_worker()(self.until_stopped(items))

    def stop(self) -> None:
        """See `Executor`."""
        self.stopping = True

    def until_stopped(self, items: Iterable[Any]) -> Iterator[Any]:
        """Yield the items until `stop` is called."""
        for item in items:
            if self.stopping:
                return
            yield item
