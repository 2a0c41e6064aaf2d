"""Work that is begun, killed, gone on with and finished: what is left of it, what it was made with, who is at it.

A job keeps its record in `job.jsonl` in the folder of its output. The first line says what the job was made with; each
further one is an input with its state, {"id", "input", "status", "reason", "size", "modified"}, and the last one of an
input counts. Lines are only ever added, each whole, so that a process may be killed at any moment.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, TYPE_CHECKING, Any

from speechrnn.core.errors import UserError
from speechrnn.jobs.journal import alone, append, cannot_write, compare, whole_lines

if TYPE_CHECKING:
    from speechrnn.jobs.inputs import Input

RECORD = "job.jsonl"
LEFT, DONE, FAILED, INCOMPLETE = "left", "done", "failed", "incomplete"

SYNC = 5.0  # seconds of work that a power cut may cost; a killed process costs none
GRACE = 30.0  # seconds that what is in flight has to end after the first Ctrl-C


@dataclass(frozen=True)
class State:
    """How an input stands.

    Attributes:
        input: the path or address.
        reason: a sentence, of what has failed or is incomplete.
        mark: size in bytes and time of change of the file that this is about; None where that is not known.
    """

    input: str
    status: str
    reason: str | None = None
    mark: tuple[int, float] | None = None


class Job:
    """A folder in the making; use as a context manager, which keeps other processes out.

    Attributes:
        states: all inputs that the job knows, by id, in the order in which it learnt of them.
        made_before: what the record that was found says; None in a new one.
    """

    def __init__(self, folder: Path, made_with: Mapping[str, Any]) -> None:
        """`made_with`: all that the output depends on but for the inputs, in JSON values; keys as a user gives them."""
        self.folder = folder
        self.path = folder / RECORD
        self.made_with: dict[str, Any] = json.loads(json.dumps(made_with))
        self.made_before: dict[str, Any] | None = None
        self.states: dict[str, State] = {}
        self._file: IO[bytes] | None = None
        self._new = False  # whether nothing is in the record yet that somebody might miss
        self._made_folder = False
        self._synced = 0.0

    def __enter__(self) -> Job:
        """Opens the record and reads it.

        Raises:
            UserError: it cannot be written, is not a record, or another process is at it.
        """
        try:
            self._made_folder = not self.folder.exists()
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b", buffering=0)
            alone(self._file, self.path)
            self._read()
        except OSError as error:
            self._close()
            raise UserError(f"Cannot write {self.path}: {error.strerror}; choose another output folder.") from error
        except UserError:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._new and error is not None:
            # Nothing has come of it, so nothing shall stand in the way of the command that is right.
            self.path.unlink(missing_ok=True)
            if self._made_folder:
                with contextlib.suppress(OSError):  # there is something in it after all
                    self.folder.rmdir()
        elif self._file is not None and error is None:
            os.fsync(self._file.fileno())
        self._close()

    def compare(self) -> None:
        """Raises UserError where what is there was not made with the same."""
        if self.made_before is not None:
            compare(self.made_before, self.made_with, self.folder)

    def begin(
        self,
        inputs: Iterable[Input],
        overwrite: bool = False,
        retry_failed: bool = False,
        intact: Callable[[str], bool] = lambda id: True,
    ) -> list[Input]:
        """Writes down what there is to do, and returns it.

        An input is left unless it is done, failed or incomplete; and it is left again when its file has another size
        or time of change than the one that was read.

        Args:
            overwrite: forget all that was done.
            retry_failed: the failed and the incomplete ones are left, too.
            intact: whether the output of an id is there still; what is not is left.

        Raises:
            UserError: the job was made with something else, an input would take the place of another one's output, or
                the record cannot be written.
        """
        if overwrite:
            self._write(b"", afresh=True)
            self.states, self.made_before = {}, None
        self.compare()
        left, lines = [], []
        if self.made_before is None:
            lines.append(_line({"made_with": self.made_with}))
            self.made_before = self.made_with
        for one in inputs:
            before = self.states.get(one.id)
            if before is not None:
                self._same_place(one, before)
                if _is_over(before, one.mark(), retry_failed) and (before.status == FAILED or intact(one.id)):
                    continue
            left.append(one)
            if before is None or before.status != LEFT:
                self.states[one.id] = State(one.source, LEFT)
                lines.append(self._entry(one.id))
        self._write(b"".join(lines))
        self._sync()
        return left

    def end(self, one: Input, status: str, reason: str | None = None, mark: tuple[int, float] | None = None) -> None:
        """Writes down how an input ended: DONE, FAILED or INCOMPLETE.

        Args:
            reason: a sentence, unless it is done.
            mark: of the file that was read.

        Raises:
            UserError: the record cannot be written.
        """
        self.states[one.id] = State(one.source, status, reason, mark)
        self._write(self._entry(one.id))
        self._new = False
        if time.monotonic() - self._synced > SYNC:
            self._sync()

    def _same_place(self, one: Input, before: State) -> None:
        """Raises UserError where an id stood for another file, which is there still."""
        if one.source == before.input:
            return
        other = replace(one, source=before.input, place=None)
        if other.remote or (other.mark() is not None and not _same_file(one.source, before.input)):
            raise UserError(
                f"{self.folder / one.id} belongs to {before.input}; choose another output for {one.source}, or "
                "overwrite=true to lose what is there."
            )

    def _read(self) -> None:
        for _, line in whole_lines(self._opened()):
            try:
                entry = json.loads(line)
                if self.made_before is None:
                    self.made_before = dict(entry["made_with"])
                else:
                    mark = None if entry["modified"] is None else (entry["size"], entry["modified"])
                    self.states[entry["id"]] = State(entry["input"], entry["status"], entry["reason"], mark)
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f"{self.path} is not the record of a job; choose another output folder.") from error
        self._new = self.made_before is None

    def _entry(self, id: str) -> bytes:
        state = self.states[id]
        size, modified = state.mark or (None, None)
        return _line(
            {
                "id": id,
                "input": state.input,
                "status": state.status,
                "reason": state.reason,
                "size": size,
                "modified": modified,
            }
        )

    def _write(self, lines: bytes, afresh: bool = False) -> None:
        try:
            if afresh:
                self._opened().truncate(0)
            append(self._opened(), lines)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def _sync(self) -> None:
        # Against power cuts. After each line it would cost more than the transcribing of a short file (0.3 to 1.6 ms
        # on a virtual disk, 10 ms on a spinning one); a killed process loses nothing that was handed to the system.
        with contextlib.suppress(OSError):  # a disk that is full or gone is told by the next line
            os.fsync(self._opened().fileno())
        self._synced = time.monotonic()

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            raise ValueError("the job is not open: use it as a context manager")
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class Interruption:
    """Ctrl-C and SIGTERM while a job runs: the first lets what is in flight end, the second ends the process.

    Use as a context manager, in the main thread; elsewhere it does nothing.
    """

    def __init__(self, say: Callable[[], None] = lambda: None) -> None:
        """`say`: what to do at the first signal, such as to tell what happens."""
        self.asked: float | None = None  # when, by time.monotonic()
        self._say = say
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for one in (signal.SIGINT, signal.SIGTERM):
                self._before[one] = signal.signal(one, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked is not None:
            raise KeyboardInterrupt
        self.asked = time.monotonic()
        self._say()

    @property
    def over(self) -> bool:
        """Whether what is in flight has had its time."""
        return self.asked is not None and time.monotonic() - self.asked > GRACE


def _is_over(state: State, mark: tuple[int, float] | None, retry_failed: bool) -> bool:
    """Whether nothing is to be done about an input whose file has this mark now."""
    changed = mark is not None and mark != state.mark
    settled = (DONE,) if retry_failed else (DONE, FAILED, INCOMPLETE)
    return not changed and state.status in settled


def _same_file(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        return False


def _line(entry: Mapping[str, Any]) -> bytes:
    """A line of JSON; names of files that are no UTF-8 keep their bytes as escapes."""
    return json.dumps(entry, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
