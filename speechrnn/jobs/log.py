"""The log file of a job: tracebacks of items that failed for unexpected reasons."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from speechrnn.jobs.journal import open_own


class JobLog:
    """Append tracebacks to a file, which is made when the first one comes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.written = False  # by this process

    def add(self, name: str, details: str | None) -> None:
        """Append one traceback; a log that cannot be written does not stop the job.

        Args:
            name: of the item.
            details: its traceback; None: nothing is written.
        """
        if details is None:
            return
        text = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {name}\n{details.rstrip()}\n\n"
        with contextlib.suppress(OSError), open_own(self.path) as file:
            file.write(text.encode("utf-8", "backslashreplace"))
            self.written = True
