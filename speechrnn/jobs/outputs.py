"""The folder in which transcripts are laid down: which files belong to an id, and what may be overwritten."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from speechrnn.core.errors import UserError
from speechrnn.core.files import temporary_stem, unsynced
from speechrnn.evaluation.hypotheses import HYPOTHESES
from speechrnn.jobs.inputs import Input
from speechrnn.jobs.jsonl import Rows
from speechrnn.jobs.transcription_job import DONE, INCOMPLETE, Job
from speechrnn.transcription.hypotheses import row
from speechrnn.transcription.transcript import Transcript
from speechrnn.transcription.writers import Writer, find_writers

# What the next file would meet as well: no space, no quota, a broken disk, one that can only be read.
FATAL = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])


class Outputs:
    """Transcripts on their way into a folder, a file for each id and format, and their rows in `hypotheses.jsonl`."""

    def __init__(self, folder: Path, writers: Sequence[Writer]) -> None:
        self.folder = folder
        self.writers = writers
        self.rows = Rows(folder / HYPOTHESES)

    def targets(self, id: str) -> list[Path]:
        """The files of an id."""
        return [self.folder / f"{id}{writer.suffix}" for writer in self.writers]

    def prepare(self, job: Job, inputs: Sequence[Input], overwrite: bool, retry_failed: bool) -> list[Input]:
        """Begins or goes on with the job; returns the inputs that are left.

        Args:
            overwrite: throw away what the job has done so far, its files too.
            retry_failed: see `Job.begin`.

        Raises:
            UserError: the job was made with something else, or files would be overwritten that are not its own.
        """
        if not overwrite:
            job.compare()
        self._spare_others(inputs, job, overwrite)
        if overwrite:
            formats = (job.made_before or {}).get("formats", [])
            Outputs(self.folder, find_writers(formats) if formats else []).remove(job.states)
            self.rows.clear()
        self.rows.read()
        going_on = bool(job.states)
        left = job.begin(inputs, overwrite, retry_failed, self.intact)
        if going_on:
            self._sweep(left)
        return left

    def _spare_others(self, inputs: Iterable[Input], job: Job, overwrite: bool) -> None:
        """Raises UserError where something would be overwritten that is not from this job, such as references."""
        beside = [(path, one) for one in inputs if one.id not in job.states for path in self.targets(one.id)]
        for path, one in beside:
            if not path.is_file():
                continue
            if not one.remote and one.place is None and path.parent.samefile(Path(one.source).parent):
                raise UserError(f"{path} lies beside its recording and would be overwritten; choose another output.")
            if not overwrite:
                raise UserError(_not_ours(path))
        if job.made_before is None and self.rows.path.exists() and not overwrite:
            raise UserError(_not_ours(self.rows.path))

    def intact(self, id: str) -> bool:
        """Whether the files of an id that is done are there still."""
        if id not in self.rows:
            return False
        try:
            sizes = [path.stat().st_size for path in self.targets(id)]
        except OSError:
            return False
        # Where something was said, an empty file is what a power cut has left of one that was not yet on the disk.
        return all(sizes) or self.rows.silent(id)

    def write(self, id: str, transcript: Transcript) -> str | None:
        """Writes the files of an id, each whole or not at all, and its row.

        They are not waited for until they are on the disk: that would take longer than to transcribe a short file.
        A killed process loses none of them; what a power cut takes, `intact` finds.

        Returns:
            None, or why these files alone cannot be written, one sentence.

        Raises:
            UserError: none can be written any more.
        """
        try:
            with unsynced():
                for writer, path in zip(self.writers, self.targets(id), strict=True):
                    writer.write(transcript, path)
        except UserError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno not in FATAL:
                return str(error)
            raise UserError(f"{error} Then give the same command again to go on.") from error
        self.rows.add(row(id, transcript))
        return None

    def remove(self, ids: Iterable[str]) -> None:
        """Removes the files of ids that are known to be the job's own."""
        for id in ids:
            for path in self.targets(id):
                if path.is_file():
                    path.unlink()

    def finish(self, job: Job) -> None:
        """Writes `hypotheses.jsonl`, in the order in which the job learnt of its inputs."""
        self.rows.finish(id for id, state in job.states.items() if state.status in (DONE, INCOMPLETE))

    def _sweep(self, left: Iterable[Input]) -> None:
        """Removes what killed processes have left half-written."""
        names: dict[Path, set[str]] = {self.folder: {HYPOTHESES}}
        for one in left:
            for path in self.targets(one.id):
                names.setdefault(path.parent, set()).add(path.name)
        for folder, files in names.items():
            wanted = {temporary_stem(name) for name in files}
            for path in folder.glob(".*.tmp"):
                whole = re.fullmatch(r"\.(.+)\.\d+\.tmp", path.name)
                if whole and whole[1] in wanted:
                    path.unlink(missing_ok=True)


def _not_ours(path: Path) -> str:
    return f"{path} is there already and not from this job; choose another output, or overwrite=true to lose it."
