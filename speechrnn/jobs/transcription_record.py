"""The record of a transcription job: the state of each input, in `job.jsonl` in the output folder.

Each entry is {"id", "input", "status", "reason", "size", "modified", "warnings"}; see `speechrnn.jobs.journal`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from speechrnn.core.errors import UserError
from speechrnn.jobs.inputs import FileState, Input
from speechrnn.jobs.journal import Journal

JOURNAL = "job.jsonl"
LEFT, DONE, FAILED, INCOMPLETE = "left", "done", "failed", "incomplete"


@dataclass(frozen=True)
class InputState:
    """Hold what is recorded of an input.

    Attributes:
        input: the path or address.
        status: LEFT, DONE, FAILED or INCOMPLETE.
        reason: a sentence, of an input that has failed or is incomplete.
        file_state: of the file that was read; None where that is not known.
        warnings: kinds of the transcript's warnings.
    """

    input: str
    status: str
    reason: str | None = None
    file_state: FileState | None = None
    warnings: tuple[str, ...] = ()

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> InputState:
        """Read an entry of the journal; one with missing or wrong fields counts as left."""
        size, modified, reason = entry.get("size"), entry.get("modified"), entry.get("reason")
        # Larger numbers, of a damaged line, fit into no float.
        known = isinstance(size, int) and isinstance(modified, (int, float)) and abs(modified) < 2**63
        status, warnings = entry.get("status"), entry.get("warnings")
        return cls(
            input=str(entry.get("input")),
            status=status if status in (DONE, FAILED, INCOMPLETE) else LEFT,
            reason=None if reason is None else str(reason),
            file_state=(size, float(modified)) if known else None,  # type: ignore[arg-type]
            warnings=tuple(map(str, warnings)) if isinstance(warnings, list) else (),
        )

    def to_entry(self, id: str) -> dict[str, Any]:
        """Make the entry of the journal."""
        size, modified = self.file_state or (None, None)
        entry: dict[str, Any] = {
            "id": id,
            "input": self.input,
            "status": self.status,
            "reason": self.reason,
            "size": size,
            "modified": modified,
        }
        if self.warnings:
            entry["warnings"] = list(self.warnings)
        return entry


class TranscriptionRecord:
    """Store the state of each input. Use as a context manager, which keeps other processes out.

    Attributes:
        folder: of the output.
        journal: in that folder.
        states: of all inputs that the job knows, by id, in the order in which they were first recorded.
    """

    def __init__(self, folder: Path, fingerprint: Mapping[str, Any], overwrite: bool = False) -> None:
        """
        Args:
            folder: of the output.
            fingerprint: all that the transcripts depend on but for the inputs.
            overwrite: see `Journal`.
        """
        self.folder = folder
        self.journal = Journal(folder / JOURNAL, "transcribe", fingerprint, overwrite=overwrite)
        self.states: dict[str, InputState] = {}

    def __enter__(self) -> TranscriptionRecord:
        self.journal.__enter__()
        self.states = {id: InputState.from_entry(entry) for id, entry in self.journal.entries.items()}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.journal.__exit__(kind, error, trace)

    def check_same(self) -> None:
        """Raise UserError where the transcripts that are there were made with another fingerprint."""
        self.journal.check_same(self.folder)

    def begin(
        self,
        inputs: Iterable[Input],
        overwrite: bool = False,
        retry_failed: bool = False,
        intact: Callable[[str], bool] = lambda id: True,
    ) -> list[Input]:
        """Record which inputs are left to do, and return them.

        An input is left unless it is done, failed or incomplete; and it is left again when its file has another size
        or modification time than the one that was read.

        Args:
            inputs: all inputs of the command.
            overwrite: forget everything that was done.
            retry_failed: failed and incomplete inputs are left, too.
            intact: tells whether the output of an id is still there; if not, the input is left.

        Raises:
            UserError: the job was made with another fingerprint, an input would take the place of another one's
                output, or the journal cannot be written.
        """
        if overwrite:
            self.journal.begin(overwrite=True)
            self.states = {}
        self.check_same()
        self.journal.begin()
        left: list[Input] = []
        changed: list[str] = []
        for item in inputs:
            before = self.states.get(item.id)
            if before is not None:
                self._check_same_source(item, before)
                finished = _is_finished(before, item.file_state(), retry_failed)
                if finished and (before.status == FAILED or intact(item.id)):
                    continue
            left.append(item)
            if before is None or before.status != LEFT:
                self.states[item.id] = InputState(item.source, LEFT)
                changed.append(item.id)
        self.journal.announce(self.states[id].to_entry(id) for id in changed)
        return left

    def record(
        self,
        item: Input,
        status: str,
        reason: str | None = None,
        file_state: FileState | None = None,
        warnings: Iterable[str] = (),
    ) -> None:
        """Record the result of an input.

        Args:
            item: the input.
            status: DONE, FAILED or INCOMPLETE.
            reason: a sentence, unless it is done.
            file_state: of the file that was read.
            warnings: kinds of the transcript's warnings.

        Raises:
            UserError: the journal cannot be written.
        """
        self.states[item.id] = InputState(item.source, status, reason, file_state=file_state, warnings=tuple(warnings))
        self.journal.record(self.states[item.id].to_entry(item.id))

    def _check_same_source(self, item: Input, before: InputState) -> None:
        """Raise UserError where an id belongs to another file that still exists."""
        if item.source == before.input:
            return
        other = replace(item, source=before.input, place=None)
        if other.remote or (other.file_state() is not None and not _same_file(item.source, before.input)):
            raise UserError(
                f"{self.folder / item.id} belongs to {before.input}; choose another output for {item.source}, or "
                "overwrite=true to lose what is there."
            )


def _is_finished(state: InputState, file_state: FileState | None, retry_failed: bool) -> bool:
    """Return whether nothing is to be done about an input whose file has this state now."""
    changed = file_state is not None and file_state != state.file_state
    finished = (DONE,) if retry_failed else (DONE, FAILED, INCOMPLETE)
    return not changed and state.status in finished


def _same_file(path: str, other: str) -> bool:
    try:
        return Path(path).samefile(other)
    except (OSError, ValueError):
        return False
