"""The folder of transcripts: what is overwritten, what is spared, and the rows of `hypotheses.jsonl`."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path

import pytest

from speechrnn.core.errors import UserError
from speechrnn.core.failures import MachineError
from speechrnn.decoding.hypothesis import Word
from speechrnn.jobs.inputs import Input
from speechrnn.jobs.outputs import Outputs
from speechrnn.jobs.rows import HypothesisRows
from speechrnn.jobs.transcription_record import DONE, TranscriptionRecord
from speechrnn.transcription.hypotheses import row, write_rows
from speechrnn.transcription.transcript import Segment, Transcript
from speechrnn.transcription.writers import find_writers

FORMATS = ["txt", "json", "srt"]


def transcript(name: str, text: str = "GO") -> Transcript:
    words = (Word(text, 0.1, 0.3, confidence=0.9),) if text else ()
    segments = (Segment(0.1, 0.3, text, confidence=0.9, words=words),) if text else ()
    return Transcript(
        name, 1.5, text, confidence=0.9, segments=segments, alternatives=(), model="model", decoding="greedy"
    )


@pytest.fixture
def inputs(tmp_path: Path) -> list[Input]:
    (tmp_path / "rec" / "a").mkdir(parents=True)
    found = [Input(f"a/{number}", str(tmp_path / "rec" / "a" / f"{number}.wav")) for number in range(4)]
    for recording in found:
        Path(recording.source).touch()
    return found


def run(
    folder: Path, inputs: list[Input], stop_after: int | None = None, overwrite: bool = False, formats: str = "txt,json"
) -> list[str]:
    """A job in a shuffled order; returns the ids that it had to do."""
    with TranscriptionRecord(folder, {"formats": formats.split(",")}) as record:
        outputs = Outputs(folder, find_writers(formats.split(",")))
        left = outputs.prepare(record, inputs, overwrite, retry_failed=False)
        todo = random.Random(len(left)).sample(left, len(left))[:stop_after]
        for recording in todo:
            outputs.write(recording.id, transcript(recording.source, "" if recording.id == "a/2" else "GO"))
            record.record(recording, DONE, file_state=recording.file_state())
        if stop_after is None:
            outputs.finish(record)
    return sorted(recording.id for recording in todo)


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "job.jsonl"
    }


def test_a_job_in_two_parts_is_the_job_in_one(tmp_path: Path, inputs: list[Input]) -> None:
    run(tmp_path / "one", inputs)
    assert len(run(tmp_path / "two", inputs, stop_after=3)) == 3
    assert "hypotheses.jsonl" not in files(tmp_path / "two")
    with (tmp_path / "two" / "hypotheses.jsonl.partial").open("ab") as file:
        file.write(b'{"id": "a/3", "hypo')
    (tmp_path / "two" / "a" / ".3.txt.17.tmp").write_text("half")
    (tmp_path / "two" / "a" / ".mine.tmp").write_text("not ours")
    left = run(tmp_path / "two", inputs)
    assert len(left) == 1
    theirs = files(tmp_path / "two")
    assert theirs.pop("a/.mine.tmp") == b"not ours"
    assert theirs.pop("a/.3.txt.17.tmp", b"half") == b"half" if left != ["a/3"] else "a/.3.txt.17.tmp" not in theirs
    assert theirs == files(tmp_path / "one")
    rows = [json.loads(line) for line in theirs["hypotheses.jsonl"].splitlines()]
    assert [row["id"] for row in rows] == [recording.id for recording in inputs]


def test_new_inputs_come_after_the_old_ones(tmp_path: Path, inputs: list[Input]) -> None:
    run(tmp_path / "out", inputs[1:3])
    assert run(tmp_path / "out", inputs) == ["a/0", "a/3"]
    rows = [json.loads(line)["id"] for line in files(tmp_path / "out")["hypotheses.jsonl"].splitlines()]
    assert rows == ["a/1", "a/2", "a/0", "a/3"]
    assert run(tmp_path / "out", inputs[:1]) == []
    assert len(files(tmp_path / "out")["hypotheses.jsonl"].splitlines()) == 4


def test_lost_files_are_made_again(tmp_path: Path, inputs: list[Input]) -> None:
    run(tmp_path / "out", inputs, formats="txt,srt")
    before = files(tmp_path / "out")
    assert before["a/2.srt"] == b""  # nothing said
    (tmp_path / "out" / "a" / "0.txt").unlink()
    (tmp_path / "out" / "a" / "3.srt").write_text("")  # what a power cut leaves
    (tmp_path / "out" / "a" / "1.txt").write_text("corrected by hand")
    assert run(tmp_path / "out", inputs, formats="txt,srt") == ["a/0", "a/3"]
    assert files(tmp_path / "out") == {**before, "a/1.txt": b"corrected by hand"}
    (tmp_path / "out" / "hypotheses.jsonl").unlink()
    assert run(tmp_path / "out", inputs, formats="txt,srt") == ["a/0", "a/1", "a/2", "a/3"]
    assert files(tmp_path / "out") == before


def test_overwrite_removes_what_the_job_has_made_and_no_more(tmp_path: Path, inputs: list[Input]) -> None:
    run(tmp_path / "out", inputs, formats="txt,srt")
    (tmp_path / "out" / "a" / "notes.txt").write_text("mine")
    assert run(tmp_path / "out", inputs[:1], overwrite=True, formats="json") == ["a/0"]
    assert sorted(files(tmp_path / "out")) == ["a/0.json", "a/notes.txt", "hypotheses.jsonl"]


def test_what_is_not_the_jobs_own_is_spared(tmp_path: Path, inputs: list[Input]) -> None:
    (tmp_path / "out" / "a").mkdir(parents=True)
    (tmp_path / "out" / "a" / "3.txt").write_text("mine")
    with pytest.raises(UserError, match=r"a/3\.txt is there already and not from this job; choose another output, or"):
        run(tmp_path / "out", inputs)
    assert files(tmp_path / "out") == {"a/3.txt": b"mine"}
    assert run(tmp_path / "out", inputs, overwrite=True) == [recording.id for recording in inputs]
    assert files(tmp_path / "out")["a/3.txt"] == b"GO\n"


def test_references_beside_recordings_are_never_overwritten(tmp_path: Path, inputs: list[Input]) -> None:
    (tmp_path / "rec" / "a" / "3.txt").write_text("GO HOME")
    for overwrite in (False, True):
        with pytest.raises(UserError, match=r"rec/a/3\.txt lies beside its recording and would be overwritten"):
            run(tmp_path / "rec", inputs, overwrite=overwrite)
    assert (tmp_path / "rec" / "a" / "3.txt").read_text() == "GO HOME"
    assert run(tmp_path / "rec", inputs, formats="json,srt") == [recording.id for recording in inputs]
    assert run(tmp_path / "rec", inputs, formats="json,srt", overwrite=True) == [recording.id for recording in inputs]


def test_the_hypotheses_of_somebody_else_are_spared(tmp_path: Path, inputs: list[Input]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "hypotheses.jsonl").write_text('{"id": "torn')
    with pytest.raises(UserError, match=r"hypotheses\.jsonl is there already and not from this job"):
        run(tmp_path / "out", inputs)
    assert (tmp_path / "out" / "hypotheses.jsonl").read_text() == '{"id": "torn'
    assert len(run(tmp_path / "out", inputs, overwrite=True)) == 4


def test_one_file_that_cannot_be_written_is_no_reason_to_stop(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path, find_writers(FORMATS))
    (tmp_path / "a.json").mkdir()
    with pytest.raises(UserError, match=rf"Cannot write {tmp_path}/a\.json: ") as caught:
        outputs.write("a", transcript("a.wav"))
    assert not isinstance(caught.value, MachineError) and "a" not in outputs.rows
    outputs.remove(["a"])
    assert not (tmp_path / "a.txt").exists()
    outputs.write("b", transcript("b.wav"))


@pytest.mark.parametrize("formats", [["txt"], ["json"], ["txt", "json"]])
def test_a_number_that_is_not_finite_is_never_written(tmp_path: Path, formats: list[str]) -> None:
    outputs = Outputs(tmp_path, find_writers(formats))
    wrong = replace(
        transcript("a.wav"),
        segments=(Segment(0.1, 0.3, "GO", confidence=0.9, words=(Word("GO", 0.1, 0.3, confidence=math.nan),)),),
    )
    with pytest.raises(ValueError, match="JSON"):
        outputs.write("a", replace(wrong, confidence=math.nan))
    outputs.write("b", transcript("b.wav"))
    outputs.remove(["a"])
    outputs.rows.finish(["a", "b"])
    lines = [json.loads(line) for line in outputs.rows.path.read_text().splitlines()]
    assert [line["id"] for line in lines] == ["b"] and not list(tmp_path.glob("a.*"))
    with pytest.raises(ValueError, match=r"a: .*JSON"):
        write_rows(tmp_path / "rows.jsonl", [row("a", wrong)])
    assert not (tmp_path / "rows.jsonl").exists()


def test_a_full_disk_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = Outputs(tmp_path, find_writers(["txt"]))

    def full(self: Path, other: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(MachineError, match=r"a\.txt: No space left on device; .* Then give the same command again"):
        outputs.write("a", transcript("a.wav"))
    assert list(tmp_path.iterdir()) == []


def test_the_last_row_of_an_id_counts(tmp_path: Path) -> None:
    rows = HypothesisRows(tmp_path / "rows.jsonl")
    for id, text in (("b", "old"), ("a", "ü"), ("b", "new"), ("c", "gone")):
        rows.add({"id": id, "words": [], "text": text})
    again = HypothesisRows(tmp_path / "rows.jsonl")
    again.read()
    assert "b" in again and again.without_words("b") and "d" not in again
    again.finish(["d", "a", "b"])
    assert [json.loads(line)["text"] for line in (tmp_path / "rows.jsonl").read_text().splitlines()] == ["ü", "new"]
    again.add({"id": "a", "words": [1], "text": "newer"})
    again.finish(["a", "b"])
    assert [json.loads(line)["text"] for line in (tmp_path / "rows.jsonl").read_text().splitlines()] == ["newer", "new"]
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


@pytest.mark.parametrize("id", ["9" * 5000, "9" * 300, "a/" * 3000 + "b"])
def test_an_id_that_no_file_system_takes_does_not_end_the_job(tmp_path: Path, inputs: list[Input], id: str) -> None:
    with TranscriptionRecord(tmp_path / "out", {"formats": FORMATS}) as record:
        outputs = Outputs(tmp_path / "out", find_writers(FORMATS))
        left = outputs.prepare(record, [*inputs, Input(id, f"{id}.wav")], overwrite=False, retry_failed=False)
        assert [recording.id for recording in left] == ["a/0", "a/1", "a/2", "a/3", id]
        outputs.remove([id])
