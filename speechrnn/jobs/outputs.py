"""The output folder of a transcription job: which files belong to an id, and what may be overwritten."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from speechrnn.core.errors import UserError
from speechrnn.core.failures import MachineError
from speechrnn.core.files import is_file, temporary_stem, unsynced
from speechrnn.evaluation.hypotheses import HYPOTHESES
from speechrnn.jobs.inputs import Input
from speechrnn.jobs.rows import HypothesisRows
from speechrnn.jobs.transcription_record import DONE, INCOMPLETE, TranscriptionRecord
from speechrnn.transcription.hypotheses import row
from speechrnn.transcription.transcript import Transcript
from speechrnn.transcription.writers import FORMATS, Writer, find_writers, write_transcript

# Errors that the next file would meet as well: no space, no quota, a broken disk, a disk that can only be read.
FATAL = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])


class Outputs:
    """Write transcripts into a folder: a file for each id and format, and a row in `hypotheses.jsonl`."""

    def __init__(self, folder: Path, writers: Sequence[Writer]) -> None:
        """
        Args:
            folder: of the job.
            writers: one for each format.
        """
        self.folder = folder
        self.writers = writers
        self.rows = HypothesisRows(folder / HYPOTHESES)

    def paths(self, id: str) -> list[Path]:
        """Return the files of an id."""
        return [self.folder / f"{id}{writer.suffix}" for writer in self.writers]

    def prepare(
        self, record: TranscriptionRecord, inputs: Sequence[Input], overwrite: bool, retry_failed: bool
    ) -> list[Input]:
        """Begin the job or go on with it, and return the inputs that are left.

        Args:
            record: of the job.
            inputs: all inputs of the command.
            overwrite: remove what the job has done so far, its files too.
            retry_failed: see `TranscriptionRecord.begin`.

        Raises:
            UserError: the job was made with another fingerprint, or files would be overwritten that are not its own.
        """
        if not overwrite:
            record.check_same()
        self._check_foreign_files(inputs, record, overwrite)
        if overwrite:
            formats = (record.journal.found or {}).get("formats", [])
            Outputs(self.folder, find_writers(formats) if formats else []).remove(record.states)
            self.rows.clear()
        self.rows.read()
        resumed = bool(record.states)
        left = record.begin(inputs, overwrite, retry_failed, self.intact)
        if resumed:
            self._remove_half_written(left)
        return left

    def _check_foreign_files(self, inputs: Iterable[Input], record: TranscriptionRecord, overwrite: bool) -> None:
        """Raise UserError where a file would be overwritten that is not of this job, such as a reference."""
        targets = [(path, item) for item in inputs if item.id not in record.states for path in self.paths(item.id)]
        for path, item in targets:
            if not is_file(path):
                continue
            if not item.remote and item.place is None and path.parent.samefile(Path(item.source).parent):
                raise UserError(f"{path} lies beside its recording and would be overwritten; choose another output.")
            if not overwrite:
                raise UserError(_foreign(path))
        if record.journal.found is None and self.rows.path.exists() and not overwrite:
            raise UserError(_foreign(self.rows.path))

    def intact(self, id: str) -> bool:
        """Return whether the files of an id that is done are still there."""
        if id not in self.rows:
            return False
        try:
            sizes = [path.stat().st_size for path in self.paths(id)]
        except OSError:
            return False
        # Where there are words, an empty file is what a power cut leaves of one that was not yet on the disk.
        return all(sizes) or self.rows.without_words(id)

    def write(self, id: str, transcript: Transcript) -> None:
        """Write the files of an id, each whole or not at all, and its row.

        It does not wait until they are on the disk, which would take longer than to transcribe a short file. A killed
        process loses none of them; `intact` finds what a power cut takes.

        Raises:
            UserError: these files cannot be written, while others can; or they would lie outside the folder.
            MachineError: no file can be written any more.
            ValueError: the transcript holds a number that is not finite.
        """
        fields = row(id, transcript)
        try:
            with unsynced():
                for writer, path in zip(self.writers, self.paths(id), strict=True):
                    write_transcript(writer, transcript, path, within=self.folder)
        except UserError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in FATAL:
                raise MachineError(f"{error} Then give the same command again to go on.") from error
            raise
        self.rows.add(fields)

    def remove(self, ids: Iterable[str]) -> None:
        """Remove the files of ids that are known to be the job's own."""
        for id in ids:
            for path in self.paths(id):
                if is_file(path) and path.parent.resolve().is_relative_to(self.folder.resolve()):
                    path.unlink()

    def finish(self, record: TranscriptionRecord) -> None:
        """Write `hypotheses.jsonl`, in the order in which the inputs were first recorded."""
        self.rows.finish(id for id, state in record.states.items() if state.status in (DONE, INCOMPLETE))

    def _remove_half_written(self, left: Iterable[Input]) -> None:
        """Remove the temporary files of killed processes."""
        names: dict[Path, set[str]] = {self.folder: {HYPOTHESES}}
        for item in left:
            for path in self.paths(item.id):
                names.setdefault(path.parent, set()).add(path.name)
        for folder, files in names.items():
            own = {temporary_stem(name) for name in files}
            for path in folder.glob(".*.tmp"):
                stem = path.name[1:].removesuffix(".tmp").removesuffix(".speechrnn")
                if stem in own or re.sub(r"\.\d+$", "", stem) in own:
                    path.unlink(missing_ok=True)


def _foreign(path: Path) -> str:
    return f"{path} is there already and not from this job; choose another output, or overwrite=true to lose it."


def check_output_folder(output: Path) -> None:
    """Raise UserError where `output` is the path of a file, not of a folder.

    >>> check_output_folder(Path("transcripts"))
    """
    suffix = output.suffix[1:].lower()
    if output.is_dir() or not (output.exists() or suffix in FORMATS):
        return
    meant = f" For one file: speechrnn transcribe INPUT formats=[{suffix}] > {output}" if suffix in FORMATS else ""
    raise UserError(f"output={output} names a file, but transcripts go into a folder: give output=DIR.{meant}")
