"""What a job shows while it runs: a bar, where somebody is there to see it."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import rich.progress


class Bar:
    """How much is done, what else there is to say, and the time left. Use as a context manager.

    Without a terminal it shows nothing, and nothing is imported for it.
    """

    def __init__(self, unit: str, total: int, done: int = 0, work: float | None = None) -> None:
        """
        Args:
            unit: what is counted, in the plural.
            done: of `total`, before this process.
            work: what is to be done by this process, in any measure from which the time left can be told better than
                from the count (bytes of audio); None: the count.
        """
        self.unit = unit
        self.total = total
        self.done = done
        self.failed = 0
        self._work = work
        self._note = ""
        self._bar: rich.progress.Progress | None = None
        self._task: rich.progress.TaskID | None = None

    def __enter__(self) -> Bar:
        if not sys.stderr.isatty():
            return self
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("{task.fields[count]}"),
            BarColumn(),
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        total = self.total - self.done if self._work is None else self._work
        self._task = self._bar.add_task("", total=max(total, 1e-9), count=self._count(), text="")
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def step(self, text: str, failed: bool = False, work: float = 1.0) -> None:
        """One more is done.

        Args:
            text: what to say beside the bar from now on.
            work: how much it was, in the measure of `Bar(work=...)`.
        """
        self.done += 1
        self.failed += failed
        if self._bar is not None and self._task is not None:
            said = ", ".join(
                part for part in (text, f"{self.failed} failed" if self.failed else "", self._note) if part
            )
            self._bar.update(self._task, advance=work, count=self._count(), text=said)

    def note(self, sentence: str) -> None:
        """Says something that holds from now on, beside the bar or, without one, in a line of its own."""
        self._note = sentence
        if self._bar is None:
            print(sentence, file=sys.stderr, flush=True)

    def _count(self) -> str:
        return f"{self.done:,}/{self.total:,} {self.unit}"


def in_words(seconds: float) -> str:
    """3.2 s, 5 min 57 s, 2 h 03 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
