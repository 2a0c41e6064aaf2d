"""`hypotheses.jsonl` in the making: its rows come in any order, and go into it in the right one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from speechrnn.core.files import atomic_write
from speechrnn.jobs.journal import append, cannot_write, whole_lines


class Rows:
    """Rows on their way into a file of JSON lines.

    Until all are there, new ones stand in `PATH.partial` in the order in which they came; of an id that comes again
    the last row counts. In memory is only where each one stands.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial = path.with_name(f"{path.name}.partial")
        self._places: dict[str, tuple[bool, int]] = {}  # by id: whether in the partial file, at which byte
        self._silent: set[str] = set()  # ids of rows without words
        self._file: IO[bytes] | None = None

    def read(self) -> None:
        """Finds the rows of earlier processes; a torn one is cut off."""
        for path in (self.path, self.partial):
            if path.is_file():
                with path.open("r+b") as file:
                    for offset, line in whole_lines(file):
                        self._note(json.loads(line), path == self.partial, offset)

    def __contains__(self, id: object) -> bool:
        return id in self._places

    def silent(self, id: str) -> bool:
        """Whether the row says that there are no words."""
        return id in self._silent

    def add(self, row: Mapping[str, Any]) -> None:
        """Adds a row, with an "id". Raises UserError where that cannot be written."""
        line = json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        try:
            if self._file is None:
                self._file = self.partial.open("ab", buffering=0)
            offset = append(self._file, line)
        except OSError as error:
            raise cannot_write(self.partial, error) from error
        self._note(row, True, offset)

    def clear(self) -> None:
        """Forgets all rows, those in the files too."""
        self._close()
        self._places, self._silent = {}, set()
        for path in (self.partial, self.path):
            path.unlink(missing_ok=True)

    def finish(self, ids: Iterable[str]) -> None:
        """Writes the file: the rows of these ids, in their order; of ids that have none there is nothing.

        Raises:
            UserError: it cannot be written; then the partial file stays.
        """
        self._close()
        places: dict[str, tuple[bool, int]] = {}
        sources = {path == self.partial: path.open("rb") for path in (self.path, self.partial) if path.is_file()}
        try:
            with atomic_write(self.path, "wb") as file:
                for id in ids:
                    if id in self._places:
                        in_partial, offset = self._places[id]
                        sources[in_partial].seek(offset)
                        places[id] = (False, file.tell())
                        file.write(sources[in_partial].readline())
        finally:
            for source in sources.values():
                source.close()
        self.partial.unlink(missing_ok=True)
        self._places = places

    def _note(self, row: Mapping[str, Any], in_partial: bool, offset: int) -> None:
        id = str(row["id"])
        self._places[id] = (in_partial, offset)
        (self._silent.discard if row["words"] else self._silent.add)(id)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
