"""The journal of a job: what the job is made with, and what is done.

A journal is a file of JSON lines. The first line is its header: format, kind of job, and fingerprint. Each further line
is an entry with an "id"; the last entry of an id counts. Lines are only ever added, each whole, so that a process may
be killed at any moment; a line that a power cut has damaged is skipped, and what it recorded is done again.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from speechrnn.core.errors import UserError
from speechrnn.core.failures import MachineError
from speechrnn.core.files import is_at, try_lock
from speechrnn.core.lock_holder import describe_holder
from speechrnn.jobs.fingerprint import check_same

FORMAT = 2  # of the header; journals of another format are refused
SYNC_SECONDS = 5.0  # seconds of work that a power cut may lose; a killed process loses none


class Journal:
    """Record what a job has done, and keep other processes out while it runs. Use as a context manager.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "job.jsonl"
    >>> with Journal(path, "transcribe", {"model": "english"}) as journal:
    ...     len(journal.entries)
    0

    Attributes:
        entries: the last entry of each id, in the order in which the ids were first recorded.
        found: the fingerprint in a journal that was there; None in a new one.
    """

    def __init__(self, path: Path, job: str, fingerprint: Mapping[str, Any], overwrite: bool = False) -> None:
        """
        Args:
            path: of the journal.
            job: kind of job, such as "transcribe".
            fingerprint: all that the output depends on but for the inputs, in JSON values; keys as a user types them.
            overwrite: what is there will be forgotten, so that it may be of another version, or damaged.
        """
        self.path = path
        self.job = job
        self.overwrite = overwrite
        self.fingerprint: dict[str, Any] = json.loads(json.dumps(fingerprint))
        self.entries: dict[str, dict[str, Any]] = {}
        self.found: dict[str, Any] | None = None
        self._file: IO[bytes] | None = None
        self._empty = False  # no work is recorded yet
        self._made_folder = False
        self._synced = 0.0

    def __enter__(self) -> Journal:
        """Open the journal, lock it, and read it.

        Raises:
            UserError: it cannot be written, is not a journal of such a job, or another process has locked it.
        """
        try:
            self._made_folder = not self.path.parent.exists()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open_locked(self.path)
            self._read()
        except OSError as error:
            self._close()
            raise UserError(f"Cannot write {self.path}: {error.strerror}; choose another output.") from error
        except UserError:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._empty and error is not None:
            # The job has done nothing, so its journal must not block the next command.
            with contextlib.suppress(OSError):
                self.path.unlink()  # under the lock; see `open_locked`
                if self._made_folder:
                    self.path.parent.rmdir()
        elif self._file is not None and error is None:
            with contextlib.suppress(OSError):
                os.fsync(self._file.fileno())
        self._close()

    @property
    def empty(self) -> bool:
        """Return whether no work is recorded."""
        return self._empty

    @property
    def present(self) -> bool:
        """Return whether the journal is where it was opened."""
        return is_at(self._opened().fileno(), self.path)

    def check_same(self, output: Path) -> None:
        """Raise UserError where `output` was made with another fingerprint."""
        if self.found is not None:
            check_same(self.found, self.fingerprint, output)

    def begin(self, overwrite: bool = False) -> None:
        """Write the header into a new journal.

        Args:
            overwrite: forget all entries first.

        Raises:
            UserError: the journal cannot be written.
        """
        if overwrite:
            self._write(b"", truncate=True)
            self.entries, self.found, self._empty = {}, None, True
        if self.found is None:
            self._write(json_line({"journal": FORMAT, "job": self.job, "made_with": self.fingerprint}))
            self.found = self.fingerprint
            self._sync()

    def announce(self, entries: Iterable[dict[str, Any]]) -> None:
        """Record entries that are no work yet, such as that of an input that is left to do."""
        entries = list(entries)
        self.entries.update({entry["id"]: entry for entry in entries})
        self._write(b"".join(json_line(entry) for entry in entries))
        self._sync()

    def record(self, entry: dict[str, Any]) -> None:
        """Record work that is done.

        Args:
            entry: JSON values, with an "id".

        Raises:
            UserError: the journal cannot be written, or was removed meanwhile.
        """
        self.entries[entry["id"]] = entry
        self._write(json_line(entry))
        self._empty = False
        if time.monotonic() - self._synced > SYNC_SECONDS:
            self._sync()

    def check_present(self) -> None:
        """Raise UserError where the journal was removed while the job runs."""
        if not self.present:
            raise UserError(
                f"{self.path} was removed while the job ran; give the same command again to start the job afresh."
            )

    def _read(self) -> None:
        file = self._opened()
        lines = whole_lines(file)
        header = next(lines, (0, b""))[1]
        if not header.strip(b"\0\n"):  # nothing, or what a power cut leaves of a job that had just begun
            file.truncate(0)
            self._empty = True
            return
        self.found = self._parse_header(header)
        if self.found is None:
            return
        damaged = 0
        for _, line in lines:
            entry = parse_object(line)
            if entry is None or not isinstance(entry.get("id"), str):
                damaged += 1
            else:
                self.entries[entry["id"]] = entry
        if damaged:
            print(
                f"speechrnn: {self.path} has {damaged:,} damaged lines; what they recorded is done again.",
                file=sys.stderr,
            )

    def _parse_header(self, line: bytes) -> dict[str, Any] | None:
        """Return the fingerprint in a header; None where the journal cannot be gone on with, but overwritten."""
        header = parse_object(line)
        if header is None and b"\0" in line:
            if self.overwrite:
                return None
            raise UserError(f"The beginning of {self.path} is damaged; choose another output, or overwrite=true.")
        made_with = None if header is None else header.get("made_with")
        if header is None or not isinstance(made_with, dict):
            raise UserError(f"{self.path} is not the record of a job; choose another output.")
        if header.get("journal") != FORMAT:
            if self.overwrite:
                return None
            raise UserError(
                f"{self.path} was begun by another version of speechrnn, which this one cannot go on with; choose "
                "another output, or overwrite=true."
            )
        if header.get("job") != self.job:
            raise UserError(f"{self.path} is the record of `speechrnn {header.get('job')}`; choose another output.")
        return made_with

    def _write(self, lines: bytes, truncate: bool = False) -> None:
        try:
            if truncate:
                self._opened().truncate(0)
            append(self._opened(), lines)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def _sync(self) -> None:
        # Against power cuts. After each line it would cost more than to transcribe a short file (0.3 to 1.6 ms on a
        # virtual disk, 10 ms on a spinning one); a killed process loses nothing that was handed to the system.
        with contextlib.suppress(OSError):  # a disk that is full or gone shows at the next line
            os.fsync(self._opened().fileno())
        self._synced = time.monotonic()

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            raise ValueError("the journal is not open: use it as a context manager")
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def json_line(entry: Mapping[str, Any]) -> bytes:
    """Return an object as a line of JSON in UTF-8; halves of surrogate pairs are escaped.

    >>> json_line({"text": "ü"}).decode()
    '{"text": "ü"}\\n'

    Raises:
        ValueError: a number is not finite, which JSON cannot hold.
    """
    return json.dumps(entry, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace") + b"\n"


def parse_object(line: bytes) -> dict[str, Any] | None:
    """Return the JSON object of a line; None where the line is damaged."""
    try:
        value = json.loads(line.decode())  # of bytes, json takes some for UTF-16
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def whole_lines(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, line) of a file from its beginning; a torn line at the end is cut off the file."""
    file.seek(0)
    size = 0
    with open(file.fileno(), "rb", closefd=False) as lines:  # an unbuffered file would be read byte by byte
        for line in lines:
            if not line.endswith(b"\n"):
                file.truncate(size)
                break
            yield size, line
            size += len(line)


def append(file: IO[bytes], data: bytes) -> int:
    """Add bytes to an unbuffered file, all or nothing: on a full disk, a part that was written is cut off again.

    Returns:
        The offset of the first byte.
    """
    size = file.seek(0, os.SEEK_END)
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError:
        file.truncate(size)
        raise
    return size


def open_own(path: Path) -> IO[bytes]:
    """Open a job's own file to read and append, unbuffered; a symbolic link is not followed.

    Raises:
        OSError: it cannot be opened, or is a symbolic link.
    """

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)

    return open(path, "a+b", buffering=0, opener=opener)


def open_locked(path: Path) -> IO[bytes]:
    """Open a job's own file and lock it for this process.

    A file that another process removes between opening and locking is not kept: two processes never hold locks on two
    files of the same name.

    Raises:
        OSError: it cannot be opened, or is a symbolic link.
        UserError: another process has locked it.
    """
    while True:
        file = open_own(path)
        try:
            lock_exclusive(file, path)
        except BaseException:
            file.close()
            raise
        if is_at(file.fileno(), path):
            return file
        file.close()


def lock_exclusive(file: IO[bytes], path: Path) -> None:
    """Lock a file for this process; the lock ends with the process. UserError where another process has it."""
    if try_lock(file.fileno()) is False:
        holder = describe_holder(file.fileno())
        raise UserError(f"Another process is writing {path}{holder}; wait for it, or end it first.")


def cannot_write(path: Path, error: OSError) -> MachineError:
    """Make the error of a job that has to stop."""
    return MachineError(
        f"Cannot write {path}: {error.strerror or error}; give the same command again when that is mended."
    )
