"""The log of a run: lines of the logger "speechrnn" go to run.log and to the terminal."""

from __future__ import annotations

import contextlib
import logging
import sys
from pathlib import Path

from speechrnn.core.errors import UserError

logger = logging.getLogger("speechrnn")


def start_logging(path: Path, first: bool) -> None:
    """Send the lines of the logger "speechrnn" to a file and to the terminal (stderr), in place of an earlier run's.

    Args:
        path: the file; lines are appended.
        first: this process is the first of a distributed training; the others log nothing.

    Raises:
        UserError: the file cannot be written.
    """
    stop_logging()
    logger.setLevel(logging.INFO)
    logger.propagate = False  # a handler of the root logger would print each line again
    if not first:
        logger.addHandler(logging.NullHandler())
        return
    terminal = TerminalHandler()
    terminal.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(terminal)
    try:
        file = LogFileHandler(path, encoding="utf-8")
    except OSError as error:
        raise UserError(f"Cannot write {path}: {error.strerror}; choose another output folder.") from error
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    logger.addHandler(file)


def stop_logging() -> None:
    """Close run.log and leave the logger "speechrnn" as it was before any run."""
    for handler in list(logger.handlers):
        if isinstance(handler, (TerminalHandler, LogFileHandler, logging.NullHandler)):
            logger.removeHandler(handler)
            with contextlib.suppress(OSError):  # a full disk
                handler.close()
    logger.propagate = True


class TerminalHandler(logging.StreamHandler):
    """A handler that writes to the current sys.stderr, which a progress bar replaces to keep its own line whole."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


class LogFileHandler(logging.FileHandler):
    """A log file that may fail (a full disk) without a traceback for each line; the terminal still has the line."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)
