"""A file of results that is written line by line, and gone on with after an interruption."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write
from speechrnn.generation.results import Result
from speechrnn.jobs.journal import alone, compare, digest, whole_lines

__all__ = ["Job", "Progress", "as_line", "digest"]


@dataclass(frozen=True)
class Progress:
    """How far a file of results has come: its lines, and how many of them are errors."""

    lines: int
    errors: int


class Job:
    """Results on their way into `output`.

    Until all are there they stand in `output.partial`; `output.job.json` says what they were made with, and stays.
    A process that is killed leaves whole lines and perhaps a torn one, which is cut off before the work goes on.
    """

    def __init__(self, output: Path, made_with: Mapping[str, Any]) -> None:
        """`made_with`: all that the results depend on, in JSON values; keys as a user would give them."""
        self.output = output
        self.partial = output.with_name(f"{output.name}.partial")
        self.record = output.with_name(f"{output.name}.job.json")
        self.made_with = json.loads(json.dumps(made_with))

    def begin(self, overwrite: bool) -> Progress:
        """Gets ready to write; returns what earlier processes have done.

        Raises:
            UserError: the output is there and was made by another command, or cannot be written.
        """
        try:
            if overwrite:
                for path in (self.output, self.partial, self.record):
                    path.unlink(missing_ok=True)
            if self.output.exists() or self.partial.exists():
                self.compare()
            else:
                with atomic_write(self.record) as file:
                    json.dump(self.made_with, file, indent=2, ensure_ascii=False)
        except OSError as error:
            raise UserError(f"Cannot write {self.output}: {error.strerror}; choose another output.") from error
        return self.progress()

    @property
    def finished(self) -> bool:
        """Whether all results are there."""
        return self.output.exists()

    def compare(self) -> None:
        """Raises UserError where what is there was not made with the same."""
        there = self.output if self.output.exists() else self.partial
        try:
            before = json.loads(self.record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            before = None
        if not isinstance(before, dict):
            raise UserError(f"{there} is there already; choose another output, or overwrite=true to lose it.")
        compare(before, self.made_with, there)

    def progress(self) -> Progress:
        """What has been written; a torn line at the end is cut off."""
        path = self.output if self.finished else self.partial
        if not path.exists():
            return Progress(0, 0)
        lines = errors = 0
        with path.open("r+b") as file:
            for _, line in whole_lines(file):
                lines += 1
                errors += "error" in json.loads(line)
        return Progress(lines, errors)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Callable[[Result], None]]:
        """A function that adds a result. Without an exception, the results take their final name at the end.

        Raises:
            UserError: another process is at it, or the file cannot be written.
        """
        try:
            with self.partial.open("ab") as file:
                alone(file, self.partial)

                def add(result: Result) -> None:
                    file.write(as_line(result))
                    file.flush()  # so that a killed process loses no more than what it was at

                yield add
                os.fsync(file.fileno())
            self.partial.replace(self.output)
        except OSError as error:
            reason = error.strerror or str(error)
            raise UserError(f"Cannot write {self.partial}: {reason}; give the command again to go on.") from error


def as_line(result: Result) -> bytes:
    """A line of JSON. Characters stay readable, but for halves of surrogate pairs, which are no UTF-8."""
    fields = result.to_json()
    try:
        return json.dumps(fields, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(fields).encode() + b"\n"
