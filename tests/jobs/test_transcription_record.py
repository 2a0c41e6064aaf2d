"""The record of a job: what stands in it after whatever has happened to the process that wrote it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.core.errors import UserError
from speechrnn.jobs.inputs import Input
from speechrnn.jobs.journal import FORMAT
from speechrnn.jobs.transcription_record import DONE, FAILED, INCOMPLETE, InputState, TranscriptionRecord

MADE_WITH = {"model": "sha256:m", "formats": ["txt"], "decoding": {"name": "greedy"}}


@pytest.fixture
def inputs(tmp_path: Path) -> list[Input]:
    """Five files a ... e."""
    for name in "abcde":
        (tmp_path / f"{name}.wav").write_text(name)
    return [Input(name, str(tmp_path / f"{name}.wav")) for name in "abcde"]


def begin(folder: Path, inputs: Sequence[Input], **keys: Any) -> str:
    """The ids that a new process finds left."""
    with TranscriptionRecord(folder, MADE_WITH) as record:
        return "".join(entry.id for entry in record.begin(inputs, **keys))


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "job.jsonl").read_text().splitlines()]


def half_done(folder: Path, inputs: Sequence[Input]) -> None:
    """a is done, b has failed, c is incomplete, d and e are left."""
    with TranscriptionRecord(folder, MADE_WITH) as record:
        assert len(record.begin(inputs)) == 5
        record.record(inputs[0], DONE, file_state=inputs[0].file_state())
        record.record(inputs[1], FAILED, "It is none.", inputs[1].file_state())
        record.record(inputs[2], INCOMPLETE, "It breaks off.", inputs[2].file_state())


def test_what_is_written(tmp_path: Path, inputs: list[Input]) -> None:
    half_done(tmp_path / "out", inputs)
    first, *states = lines(tmp_path / "out")
    assert first == {"journal": FORMAT, "job": "transcribe", "made_with": MADE_WITH}
    assert [(entry["id"], entry["status"]) for entry in states[:5]] == [(name, "left") for name in "abcde"]
    size, modified = inputs[1].file_state() or (0, 0.0)
    assert states[6] == {
        "id": "b",
        "input": inputs[1].source,
        "status": "failed",
        "reason": "It is none.",
        "size": size,
        "modified": modified,
    }


def test_the_next_process_finds_what_is_left(tmp_path: Path, inputs: list[Input]) -> None:
    half_done(tmp_path / "out", inputs)
    before = (tmp_path / "out" / "job.jsonl").read_bytes()
    assert begin(tmp_path / "out", inputs) == begin(tmp_path / "out", inputs) == "de"
    assert (tmp_path / "out" / "job.jsonl").read_bytes() == before
    assert begin(tmp_path / "out", inputs, retry_failed=True) == "bcde"
    assert begin(tmp_path / "out", inputs) == "bcde"  # as the last process wrote down
    assert begin(tmp_path / "out", inputs, overwrite=True) == "abcde"
    assert len(lines(tmp_path / "out")) == 6


def test_new_and_changed_files_are_left_and_removed_ones_are_not(tmp_path: Path, inputs: list[Input]) -> None:
    half_done(tmp_path / "out", inputs[:5])
    (tmp_path / "f.wav").write_text("f")
    more = [*inputs, Input("f", str(tmp_path / "f.wav"))]
    assert begin(tmp_path / "out", more) == "def"
    Path(inputs[0].source).write_text("another")
    assert begin(tmp_path / "out", more) == "adef"
    Path(inputs[1].source).unlink()
    Path(inputs[2].source).unlink()
    assert begin(tmp_path / "out", more) == "adef"


def test_a_failure_of_what_was_missing_is_tried_when_it_is_there(tmp_path: Path) -> None:
    entry = Input("a", str(tmp_path / "a.wav"))
    with TranscriptionRecord(tmp_path / "out", MADE_WITH) as record:
        record.begin([entry])
        record.record(entry, FAILED, "It does not exist.", entry.file_state())
    assert begin(tmp_path / "out", [entry]) == ""
    (tmp_path / "a.wav").touch()
    assert begin(tmp_path / "out", [entry]) == "a"


def test_what_has_lost_its_output_is_left(tmp_path: Path, inputs: list[Input]) -> None:
    half_done(tmp_path / "out", inputs)
    with TranscriptionRecord(tmp_path / "out", MADE_WITH) as record:
        assert [entry.id for entry in record.begin(inputs, intact=lambda id: id != "a")] == ["a", "d", "e"]


def test_an_id_does_not_change_its_file(tmp_path: Path, inputs: list[Input], monkeypatch: pytest.MonkeyPatch) -> None:
    half_done(tmp_path / "out", inputs)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.wav").write_text("other")
    other = Input("a", str(tmp_path / "more" / "a.wav"))
    with pytest.raises(UserError, match=r"out/a belongs to .*a\.wav; choose another output for .*more/a\.wav"):
        begin(tmp_path / "out", [other])
    monkeypatch.chdir(tmp_path)
    assert begin(tmp_path / "out", [Input("a", "a.wav")]) == ""  # the same one
    Path(inputs[0].source).rename(tmp_path / "more" / "b.wav")
    assert begin(tmp_path / "out", [Input("a", "more/b.wav")]) == ""  # the same one, elsewhere
    assert begin(tmp_path / "out", [other]) == "a"  # instead of what is gone
    far = Input("z", "s3://bucket/z.wav")
    assert begin(tmp_path / "out", [far]) == "z"
    with pytest.raises(UserError, match=r"belongs to s3://bucket/z\.wav"):
        begin(tmp_path / "out", [Input("z", "s3://other/z.wav")])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model": "sha256:n"}, "out was made with another model: give the same keys"),
        ({"formats": ["srt"]}, r'out was made with formats=\["txt"\]'),
        ({"decoding": {"name": "beam"}}, 'out was made with decoding.name="greedy"'),
        ({"decoding": {"name": "greedy", "beam_size": 3}}, "out was made with decoding.beam_size=null"),
    ],
)
def test_a_job_is_gone_on_with_the_same_keys(
    tmp_path: Path, inputs: list[Input], change: dict[str, object], sentence: str
) -> None:
    half_done(tmp_path / "out", inputs)
    before = (tmp_path / "out" / "job.jsonl").read_bytes()
    with (
        pytest.raises(UserError, match=sentence),
        TranscriptionRecord(tmp_path / "out", {**MADE_WITH, **change}) as record,
    ):
        record.begin(inputs)
    assert (tmp_path / "out" / "job.jsonl").read_bytes() == before
    with TranscriptionRecord(tmp_path / "out", {**MADE_WITH, **change}) as record:
        assert len(record.begin(inputs, overwrite=True)) == 5


@pytest.mark.parametrize("content", ['{"id": 1, "prompt": "a"}\n', "[]\n", "Dear Sir\n"])
def test_another_commands_record_is_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / "job.jsonl").write_text(content)
    with pytest.raises(UserError, match=r"job\.jsonl is not the record of a job; choose another output"):
        begin(tmp_path, [])
    assert (tmp_path / "job.jsonl").read_text() == content


def test_a_second_process_is_kept_out(tmp_path: Path, inputs: list[Input]) -> None:
    pytest.importorskip("fcntl")
    with TranscriptionRecord(tmp_path / "out", MADE_WITH) as record:
        record.begin(inputs)
        with pytest.raises(UserError, match=r"Another process is writing .*job\.jsonl .*; wait for it"):
            begin(tmp_path / "out", inputs)
    assert begin(tmp_path / "out", inputs) == "abcde"


def test_a_job_that_came_to_nothing_leaves_nothing(tmp_path: Path, inputs: list[Input]) -> None:
    with pytest.raises(UserError, match="No such device"), TranscriptionRecord(tmp_path / "out", MADE_WITH) as record:
        record.begin(inputs)
        raise UserError("No such device.")
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    with pytest.raises(KeyboardInterrupt), TranscriptionRecord(tmp_path / "out", MADE_WITH) as record:
        record.begin(inputs)
        raise KeyboardInterrupt
    assert list((tmp_path / "out").iterdir()) == []
    with pytest.raises(KeyboardInterrupt), TranscriptionRecord(tmp_path / "out", MADE_WITH) as record:
        record.record(record.begin(inputs)[0], DONE, file_state=inputs[0].file_state())
        raise KeyboardInterrupt
    assert begin(tmp_path / "out", inputs) == "bcde"


def test_an_output_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(UserError, match=r"Cannot write .*out/job\.jsonl: "):
        begin(tmp_path / "out", [])


@settings(max_examples=30)
@given(cut=st.integers(0, 10_000), order=st.permutations(range(5)))
def test_a_record_cut_anywhere_goes_on_and_ends_the_same(
    tmp_path_factory: pytest.TempPathFactory, cut: int, order: Sequence[int]
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    inputs = [Input(name, f"{name}ü.wav") for name in "abcde"]
    with TranscriptionRecord(folder, MADE_WITH) as record:
        left = record.begin(inputs)
        for number in order:
            record.record(left[number], DONE)
    path = folder / "job.jsonl"
    content = path.read_bytes()[: cut % (path.stat().st_size + 1)]
    path.write_bytes(content)
    whole = content[: content.rfind(b"\n") + 1]
    done = {json.loads(line)["id"] for line in whole.splitlines() if b'"done"' in line}
    with TranscriptionRecord(folder, MADE_WITH) as record:
        left = record.begin(inputs)
        assert path.read_bytes().startswith(whole)
        assert {entry.id for entry in left} == set("abcde") - done
        for entry in left:
            record.record(entry, DONE)
    assert begin(folder, inputs) == ""
    assert {entry["id"] for entry in lines(folder)[1:]} == set("abcde")


def test_a_full_disk_leaves_whole_lines(tmp_path: Path, inputs: list[Input], monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        """A file on a disk that has room for 20 bytes more."""

        def __init__(self, file: object) -> None:
            self.file, self.room = file, 20

        def write(self, data: bytes) -> int:
            if not self.room:
                raise OSError(28, "No space left on device")
            written = self.file.write(data[: self.room])  # type: ignore[attr-defined]
            self.room = 0
            return int(written)

        def __getattr__(self, name: str) -> object:
            return getattr(self.file, name)

    with TranscriptionRecord(tmp_path / "out", MADE_WITH) as record:
        left = record.begin(inputs)
        record.record(left[0], DONE, file_state=left[0].file_state())
        before = record.journal.path.read_bytes()
        monkeypatch.setattr(record.journal, "_file", Full(record.journal._file))
        with pytest.raises(UserError, match=r"Cannot write .*job\.jsonl: No space left on device; give the same"):
            record.record(left[1], DONE, file_state=left[1].file_state())
        assert record.journal.path.read_bytes() == before
    assert begin(tmp_path / "out", inputs) == "bcde"


def test_a_job_of_an_older_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "job.jsonl").write_text('{"made_with": {}}\n{"id": "a", "status": "done"}\n')
    before = (tmp_path / "job.jsonl").read_bytes()
    with pytest.raises(UserError, match="another version of speechrnn"):
        begin(tmp_path, [])
    assert (tmp_path / "job.jsonl").read_bytes() == before


@pytest.mark.parametrize("damage", [b"\0" * 40 + b"\n", b'{"id": "a", "sta\n', b"\xff\xfe\n", b"[" * 60_000 + b"\n"])
def test_a_damaged_line_is_done_again(tmp_path: Path, inputs: list[Input], damage: bytes) -> None:
    half_done(tmp_path / "out", inputs)
    path = tmp_path / "out" / "job.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    assert b'"a"' in lines[6] and b'"done"' in lines[6]
    path.write_bytes(b"".join([*lines[:6], damage, *lines[7:]]))
    assert begin(tmp_path / "out", inputs) == "ade"


def test_warnings_are_recorded_and_damaged_ones_are_none(tmp_path: Path) -> None:
    state = InputState("a.wav", DONE, warnings=("channels_cancel",))
    assert InputState.from_entry(state.to_entry("a")) == state
    assert "warnings" not in InputState("a.wav", DONE).to_entry("a")
    for damaged in (None, 3, "channels_cancel", {"channels_cancel": 1}):
        assert InputState.from_entry({"input": "a.wav", "status": DONE, "warnings": damaged}).warnings == ()
