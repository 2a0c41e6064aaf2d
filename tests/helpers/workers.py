"""Workers that a test can send into another process, where it cannot define any."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from speechrnn.core.errors import UserError


@dataclass(frozen=True)
class Squares:
    """Gives (number, its square, the process).

    Attributes:
        seconds: that each number takes.
        deadly: numbers that end their worker, as often as `folder` has no file of theirs.
        folder: where they leave a file before, if given: then they are deadly only once.
        reverse: results come in the wrong order.
        refuse: a sentence with which the loading ends.
    """

    seconds: float = 0.0
    deadly: tuple[int, ...] = ()
    folder: Path | None = None
    reverse: bool = False
    refuse: str | None = None
    kill_loading: bool = False

    def __call__(self) -> Callable[[Iterable[int]], Iterator[tuple[int, int, int]]]:
        if self.refuse is not None:
            raise UserError(self.refuse)
        if self.kill_loading:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.work

    def work(self, numbers: Iterable[int]) -> Iterator[tuple[int, int, int]]:
        for number in reversed(list(numbers)) if self.reverse else numbers:
            if number in self.deadly:
                self.die(number)
            time.sleep(self.seconds)
            yield number, number * number, os.getpid()

    def die(self, number: int) -> None:
        if self.folder is not None:
            mark = self.folder / str(number)
            if mark.exists():
                return
            mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def broken() -> Callable[[Iterable[int]], Iterator[int]]:
    """A worker with a bug."""
    raise ZeroDivisionError("a bug")


@dataclass(frozen=True)
class Settings:
    """Gives the environment of its process for each item."""

    def __call__(self) -> Callable[[Iterable[str]], Iterator[dict[str, str]]]:
        return self.work

    def work(self, items: Iterable[str]) -> Iterator[dict[str, str]]:
        for _ in items:
            yield dict(os.environ)
