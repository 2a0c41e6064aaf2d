"""Collect the rows of `hypotheses.jsonl`, which come in any order, and write them in the right one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from speechrnn.core.files import atomic_write
from speechrnn.jobs.journal import append, cannot_write, json_line, open_own, parse_object, whole_lines


class HypothesisRows:
    """Hold rows with an "id" and "words" on the disk, and the place of each row.

    Until the file is finished, new rows lie in `PATH.partial` in the order in which they came; of an id that comes
    again the last row counts. Only the places are in memory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial = path.with_name(f"{path.name}.partial")
        self._places: dict[str, tuple[bool, int]] = {}  # by id: whether in the partial file, and the byte
        self._without_words: set[str] = set()
        self._file: IO[bytes] | None = None

    def read(self) -> None:
        """Find the rows of earlier processes. A torn row is cut off; a damaged one counts as missing.

        Raises:
            UserError: a file cannot be opened.
        """
        for path in (self.path, self.partial):
            if not path.is_file():
                continue
            try:
                with open_own(path) as file:
                    for offset, line in whole_lines(file):
                        row = parse_object(line)
                        if row is not None and isinstance(row.get("id"), str) and isinstance(row.get("words"), list):
                            self._index(row, path == self.partial, offset)
            except OSError as error:
                raise cannot_write(path, error) from error

    def __contains__(self, id: object) -> bool:
        return id in self._places

    def without_words(self, id: str) -> bool:
        """Return whether the row of an id has no words."""
        return id in self._without_words

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row. UserError where it cannot be written."""
        try:
            if self._file is None:
                self._file = open_own(self.partial)
            offset = append(self._file, json_line(row))
        except OSError as error:
            raise cannot_write(self.partial, error) from error
        self._index(row, True, offset)

    def clear(self) -> None:
        """Remove all rows, those in the files too."""
        self._close()
        self._places, self._without_words = {}, set()
        for path in (self.partial, self.path):
            path.unlink(missing_ok=True)

    def finish(self, ids: Iterable[str]) -> None:
        """Write the file: the rows of these ids, in their order; ids without a row are left out.

        Raises:
            UserError: it cannot be written; then the partial file stays.
        """
        self._close()
        places: dict[str, tuple[bool, int]] = {}
        sources = {path == self.partial: path.open("rb") for path in (self.path, self.partial) if path.is_file()}
        try:
            with atomic_write(self.path, "wb") as file:
                for id in ids:
                    in_partial, offset = self._places.get(id, (False, -1))
                    if offset >= 0 and in_partial in sources:
                        sources[in_partial].seek(offset)
                        places[id] = (False, file.tell())
                        file.write(sources[in_partial].readline())
        finally:
            for source in sources.values():
                source.close()
        self.partial.unlink(missing_ok=True)
        self._places = places

    def _index(self, row: Mapping[str, Any], in_partial: bool, offset: int) -> None:
        id = str(row["id"])
        self._places[id] = (in_partial, offset)
        (self._without_words.discard if row["words"] else self._without_words.add)(id)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
