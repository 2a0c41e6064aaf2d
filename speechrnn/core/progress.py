"""A progress bar for the terminal, and durations in words."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import rich.progress


class Bar:
    """A progress bar with a count, a text and the time left; a context manager.

    Without a terminal it shows nothing, and nothing is imported for it.

    >>> with Bar("files", total=3, done=1) as bar:
    ...     bar.step("5.0 s of audio")
    >>> bar.done
    2
    """

    def __init__(self, unit: str, total: int, done: int = 0, work: float | None = None) -> None:
        """
        Args:
            unit: what is counted, in the plural.
            done: so many of `total` were done before this process.
            work: the work of this process, in a unit that predicts the time left better than the count does (bytes of
                audio); None: the count.
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
        from rich.progress import BarColumn, Progress, TextColumn

        self._bar = Progress(
            TextColumn("{task.fields[count]}"),
            BarColumn(),
            TextColumn("{task.fields[text]}"),
            _time_left_column(),
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
        """Count one more as done.

        Args:
            text: shown beside the bar from now on.
            failed: count it as failed, too.
            work: its share of the work, in the unit of `Bar(work=...)`.
        """
        self.done += 1
        self.failed += failed
        if self._bar is not None and self._task is not None:
            parts = (text, f"{self.failed} failed" if self.failed else "", self._note)
            self._bar.update(self._task, advance=work, count=self._count(), text=", ".join(filter(None, parts)))

    def note(self, sentence: str) -> None:
        """Show a sentence beside the bar from now on, or print it to stderr where there is no bar."""
        self._note = sentence
        if self._bar is None:
            print(sentence, file=sys.stderr, flush=True)

    def _count(self) -> str:
        return f"{self.done:,}/{self.total:,} {self.unit}"


def _time_left_column() -> rich.progress.ProgressColumn:
    """Return a column with the time left, such as "2 h 54 min left"."""
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class TimeLeftColumn(ProgressColumn):
        max_refresh = 0.5  # seconds

        def render(self, task: Task) -> Text:
            left = task.time_remaining
            return Text("" if left is None or task.finished else f"{in_words(left)} left")

    return TimeLeftColumn()


def in_words(seconds: float) -> str:
    """Return a duration in words.

    >>> in_words(3.21), in_words(357.2), in_words(10_440)
    ('3.2 s', '5 min 57 s', '2 h 54 min')
    """
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min"


def speed_in_words(audio: float, elapsed: float) -> str:
    """Return how fast audio was worked on, given the seconds of audio and of work; two digits below 10.

    >>> speed_in_words(872.0, 4.0), speed_in_words(3.0, 10.0)
    ('218 times real time', '0.3 times real time')
    """
    speed = audio / elapsed
    return f"{speed:.0f} times real time" if speed >= 10 else f"{speed:.2g} times real time"
