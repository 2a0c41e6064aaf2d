"""Tests of a transcription job without a network: what is written, counted and printed for each input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.transcripts import SPOKEN

from speechrnn.core.errors import UserError
from speechrnn.core.failures import MachineError
from speechrnn.jobs.executors import ExecutorOptions, Lost
from speechrnn.jobs.executors.local import LocalExecutor
from speechrnn.jobs.inputs import Input
from speechrnn.jobs.log import JobLog
from speechrnn.jobs.outputs import Outputs
from speechrnn.jobs.storage import RemoteOptions
from speechrnn.jobs.transcription_job import (
    FAILURES_SHOWN,
    Progress,
    TranscriptionJobOptions,
    lost_outcome,
    print_reasons,
    record_outcome,
    run_transcription_job,
    summarise,
    transcribe,
)
from speechrnn.jobs.transcription_record import DONE, FAILED, INCOMPLETE, TranscriptionRecord
from speechrnn.jobs.transcription_worker import Outcome
from speechrnn.transcription.options import TranscriptionOptions
from speechrnn.transcription.transcript import Failure
from speechrnn.transcription.writers import SubtitleOptions, find_writers


@pytest.fixture
def inputs(tmp_path: Path) -> list[Input]:
    (tmp_path / "in").mkdir()
    found = [Input(name, str(tmp_path / "in" / f"{name}.wav")) for name in ("whole", "part", "bad")]
    for item in found:
        Path(item.source).touch()
    return found


def worker() -> Any:
    """Load a worker that transcribes "whole", breaks off in "part", and fails at all others."""

    def work(items: Iterable[Input]) -> Iterator[Outcome | Lost]:
        for item in items:
            transcript = replace(SPOKEN, audio=item.source)
            if item.id == "whole":
                yield Outcome(item, transcript, item.file_state(), engine="torch")
            elif item.id == "part":
                yield Outcome(item, replace(transcript, incomplete="It breaks off."), item.file_state(), engine="torch")
            else:
                yield Outcome(item, Failure(item.source, "It is damaged.", "Traceback"), item.file_state())

    return work


def run(folder: Path, inputs: list[Input]) -> tuple[Progress, TranscriptionRecord]:
    with TranscriptionRecord(folder, {}) as record:
        outputs = Outputs(folder, find_writers(["txt", "json"]))
        left = outputs.prepare(record, inputs, False, retry_failed=False)
        log = JobLog(folder / "job.log")
        make_worker: Any = worker
        progress = transcribe(
            LocalExecutor(), make_worker, record, outputs=outputs, log=log, left=left, total=len(inputs)
        )
        outputs.finish(record)
    return progress, record


def test_each_input_has_its_files_and_its_state(inputs: list[Input], tmp_path: Path) -> None:
    progress, record = run(tmp_path / "out", inputs)
    assert {id: state.status for id, state in record.states.items()} == {
        "whole": DONE,
        "part": INCOMPLETE,
        "bad": FAILED,
    }
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"whole.txt", "whole.json", "part.txt", "part.json", "job.log"} <= names and "bad.txt" not in names
    assert progress.files == 2 and progress.seconds == 2 * SPOKEN.duration and progress.engines == {"torch"}


def test_nothing_is_done_twice(inputs: list[Input], tmp_path: Path) -> None:
    run(tmp_path / "out", inputs)
    progress, record = run(tmp_path / "out", inputs)
    assert progress == Progress() and record.states["whole"].status == DONE


def test_files_of_an_earlier_recording_go_when_it_fails(inputs: list[Input], tmp_path: Path) -> None:
    whole = inputs[0]
    with TranscriptionRecord(tmp_path / "out", {}) as record:
        outputs = Outputs(tmp_path / "out", find_writers(["txt"]))
        outputs.prepare(record, inputs, False, retry_failed=False)
        assert record_outcome(Outcome(whole, SPOKEN, whole.file_state()), record, outputs)[1] == DONE
        assert (tmp_path / "out" / "whole.txt").is_file()
        failure = Outcome(whole, Failure(whole.source, "It is damaged."), whole.file_state())
        assert record_outcome(failure, record, outputs)[1] == FAILED
    assert not (tmp_path / "out" / "whole.txt").exists()


@pytest.mark.parametrize(("error", "raised"), [(ValueError("odd"), None), (MachineError("Disk full."), MachineError)])
def test_an_error_over_the_files_of_one_input(
    inputs: list[Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, raised: Any
) -> None:
    def fail(id: str, result: object) -> None:
        raise error

    with TranscriptionRecord(tmp_path / "out", {}) as record:
        outputs = Outputs(tmp_path / "out", find_writers(["txt"]))
        outputs.prepare(record, inputs, False, retry_failed=False)
        monkeypatch.setattr(outputs, "write", fail)
        outcome = Outcome(inputs[0], SPOKEN, inputs[0].file_state())
        if raised is not None:
            with pytest.raises(raised):
                record_outcome(outcome, record, outputs)
        else:
            changed, status = record_outcome(outcome, record, outputs)
            assert status == FAILED and isinstance(changed.result, Failure) and "odd" in changed.result.reason


def test_an_input_at_which_workers_died_is_a_failure(inputs: list[Input]) -> None:
    outcome = lost_outcome(Lost(inputs[0], "Three workers have died at it."))
    assert isinstance(outcome.result, Failure) and outcome.result.reason.startswith(inputs[0].source)


def test_the_summary_counts_what_is_done_failed_and_left(
    inputs: list[Input], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, record = run(tmp_path / "out", inputs)
    capsys.readouterr()
    progress = Progress(files=2, seconds=60.0, engines={"torch"})
    summary = summarise(tmp_path / "out", record.states, inputs, left=3, progress=progress, elapsed=2.0)
    out, err = capsys.readouterr()
    assert not summary.done and not summary.interrupted
    assert "2 files" in out and "30 times real time" in out
    assert "1 of 3 could not be transcribed; retry_failed=true" in err and "only in part" in err


def test_a_long_list_of_reasons_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    print_reasons([f"reason {number}" for number in range(FAILURES_SHOWN + 5)], " in the journal")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == FAILURES_SHOWN + 1 and lines[-1] == "  ... and 5 more in the journal"


def test_a_job_needs_a_folder(tmp_path: Path) -> None:
    job = TranscriptionJobOptions(
        model=tmp_path,
        inputs=(),
        output=None,
        formats=("txt",),
        subtitles=SubtitleOptions(),
        retry_failed=False,
        overwrite=False,
        executor=ExecutorOptions(),
        remote=RemoteOptions(),
    )
    with pytest.raises(UserError, match="output=DIR"):
        run_transcription_job(job, TranscriptionOptions(), [])
