"""`speechrnn transcribe` as a job: its journal, its output folder, and failures of single recordings."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from helpers import servers
from helpers.acoustic_models import ALONE, RATE, record, save_listener, written
from helpers.transcription_jobs import ROOT, Run, make_run

from speechrnn.audio import audio_blocks, save_audio
from speechrnn.jobs.transcription_record import TranscriptionRecord
from speechrnn.transcription import pipeline, reader
from speechrnn.transcription.transcript import Transcript

CASES = ROOT / "tests" / "cases"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, model: Path) -> Run:
    return make_run([f"model={model}", *ALONE], capsys, monkeypatch)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_listener(tmp_path_factory.mktemp("model"))


@pytest.fixture
def few(tmp_path: Path) -> Path:
    return record(tmp_path / "few", 4)


def test_a_model_that_does_not_load_leaves_no_job(run: Run, few: Path, tmp_path: Path) -> None:
    status, _, err = run(f"inputs={few}", f"output={tmp_path}/out", "device=tpu")
    assert status == 2 and err.count("\n") == 1 and not (tmp_path / "out").exists()


def test_a_folder_without_audio(run: Run, tmp_path: Path) -> None:
    (tmp_path / "silent").mkdir()
    (tmp_path / "silent" / "a.txt").touch()
    status, _, err = run(f"inputs={tmp_path}/silent", f"output={tmp_path}/out")
    assert status == 2 and f"{tmp_path}/silent holds no audio" in err and not (tmp_path / "out").exists()


def test_the_output_may_lie_inside_the_input(run: Run, few: Path) -> None:
    assert run(f"inputs={few}", f"output={few}/transcripts")[0] == 0
    assert sorted(written(few / "transcripts"))[:2] == ["0/0000.json", "0/0000.txt"]
    status, out, _ = run(f"inputs={few}", f"output={few}/transcripts")
    assert status == 0 and "nothing to do" in out


def test_two_inputs_with_one_output(run: Run, few: Path, tmp_path: Path) -> None:
    shutil.copytree(few / "0", few / "1")
    status, _, err = run(f"inputs=[{few}/0,{few}/1]", f"output={tmp_path}/out")
    assert status == 2 and "would both be written as '0000'" in err and not (tmp_path / "out").exists()
    assert run(f"inputs={few}/0", f"output={tmp_path}/out")[0] == 0
    status, _, err = run(f"inputs={few}/1", f"output={tmp_path}/out")
    assert status == 2 and f"out/0000 belongs to {few}/0/0000.wav" in err


def test_one_transcript_that_cannot_be_written(run: Run, few: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    (output / "0" / "0002.json").mkdir(parents=True)
    command = (f"inputs={few}", f"output={output}")
    status, out, err = run(*command)
    assert status == 1 and out.startswith("3 files, ")
    first, second = err.splitlines()
    assert first == "1 of 4 could not be transcribed; retry_failed=true tries again:"
    assert second.startswith(f"  Cannot write {output}/0/0002.json: ")
    assert "0/0002.txt" not in written(output)
    (output / "0" / "0002.json").rmdir()
    assert run(*command)[0] == 1  # as it stands in the record
    assert run(*command, "retry_failed=true")[0] == 0
    assert run(*command)[0] == 0 and len(written(output)) == 9


def test_a_file_that_changes_while_it_is_read(
    run: Run, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = audio_blocks

    def and_change(path: str, *arguments: Any, **keys: Any) -> Iterator[np.ndarray]:
        yield from read(path, *arguments, **keys)
        if "0001" in str(path):
            with Path(path).open("ab") as file:
                file.write(b"\0\0")

    command = (f"inputs={few}", f"output={tmp_path}/out")
    with monkeypatch.context() as patch:
        patch.setattr(reader, "audio_blocks", and_change)
        status, _, err = run(*command)
    assert status == 1 and f"{few}/0/0001.wav was changed while it was read; give the command again" in err
    assert "0/0001.txt" not in written(tmp_path / "out")
    save_audio(few / "0" / "0001.wav", np.zeros(RATE, np.float32), RATE)
    status, out, _ = run(*command)  # it is not the file that has failed
    assert status == 0 and out.startswith("1 file (3 were there already)")


@pytest.mark.parametrize("name", ["list_with_nul.lst", "list_with_root.lst", "list_with_unknown_user.lst"])
def test_a_bad_line_of_a_list_is_reported_and_the_good_one_is_transcribed(
    run: Run, few: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(few / "0" / "0000.wav", tmp_path / "good.wav")
    monkeypatch.chdir(tmp_path)
    command = (f"inputs={CASES}/inputs/{name}", f"output={tmp_path}/out", "formats=[txt]")
    for retry in ("false", "true"):
        status, _, err = run(*command, f"retry_failed={retry}")
        first, second = err.splitlines()
        assert status == 1 and first.startswith("1 of 2 could not be transcribed") and second.startswith("  '")
        assert sorted(written(tmp_path / "out")) == ["good.txt", "hypotheses.jsonl"]


def test_a_member_of_an_archive_is_never_written_outside(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    output = tmp_path / "a" / "b" / "c" / "out"
    status, _, err = run(f"inputs='zip://::{CASES}/inputs/zip_slip.zip'", f"output={output}")
    assert status == 1 and "outside the output folder" in err and err.count("\n") == 2
    made = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(path.is_relative_to(output) for path in made) and "pwn" not in {
        path.name for path in tmp_path.rglob("*")
    }


def test_an_unexpected_error_is_one_line_and_its_traceback_is_in_the_log(
    run: Run, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assemble = pipeline.assemble

    def broken(audio: str, *arguments: Any, **keys: Any) -> Transcript:
        if "0001" in audio:
            raise AssertionError("times go backwards")
        return assemble(audio, *arguments, **keys)

    command = (f"inputs={few}", f"output={tmp_path}/out")
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "assemble", broken)
        status, out, err = run(*command)
    assert status == 1 and out.startswith("3 files")
    assert err.splitlines()[1:] == [
        f"  {few}/0/0001.wav: AssertionError: times go backwards.",
        f"The tracebacks of unexpected errors are in {tmp_path}/out/job.log.",
    ]
    log = (tmp_path / "out" / "job.log").read_text()
    assert f"{few}/0/0001.wav\nTraceback" in log and 'raise AssertionError("times go backwards")' in log
    assert run(*command, "retry_failed=true")[0] == 0


def test_channels_have_transcripts_of_their_own(run: Run, tmp_path: Path) -> None:
    sound = np.random.default_rng(0).normal(0.0, 0.1, (2, RATE)).astype(np.float32)
    (tmp_path / "calls").mkdir()
    soundfile.write(tmp_path / "calls" / "talk.wav", sound.T, RATE, "FLOAT")
    for number in range(2):
        soundfile.write(tmp_path / f"{number}.wav", sound[number], RATE, "FLOAT")
        run(f"inputs={tmp_path}/{number}.wav", f"output={tmp_path}/alone", "formats=[txt]")
    command = (f"inputs={tmp_path}/calls", f"output={tmp_path}/out", "formats=[txt,json]", "channels=split")
    assert run(*command)[0] == 0
    there, alone = written(tmp_path / "out"), written(tmp_path / "alone")
    for number in range(2):
        assert there[f"talk.channel{number}.txt"] == alone[f"{number}.txt"]
        transcript = json.loads(there[f"talk.channel{number}.json"])
        assert transcript["channel"] == number and transcript["audio"] == f"{tmp_path}/calls/talk.wav"
    rows = [json.loads(line) for line in there["hypotheses.jsonl"].splitlines()]
    assert [(row["id"], row["channel"]) for row in rows] == [("talk.channel0", 0), ("talk.channel1", 1)]
    assert "nothing to do" in run(*command)[1]
    entry = (f"inputs={tmp_path}/calls", f"output={tmp_path}/one", "formats=[txt]")
    assert run(*entry, "channels=1")[0] == 0 and written(tmp_path / "one")["talk.txt"] == alone["1.txt"]
    status, _, err = run(f"inputs={tmp_path}/calls", f"output={tmp_path}/two", "channels=7")
    assert status == 1 and "has no channel 7" in err
    status, _, err = run(f"inputs={tmp_path}/calls", f"output={tmp_path}/two", "channels=left")
    assert status == 2 and "channels=left is wrong" in err


def test_links_in_the_output_that_lead_out_are_not_followed(run: Run, few: Path, tmp_path: Path) -> None:
    (few / "1").mkdir()
    shutil.copy(few / "0" / "0000.wav", few / "1" / "0000.wav")
    outside = tmp_path / "outside"
    (outside / "kept").mkdir(parents=True)
    (outside / "kept" / "mine.txt").write_text("mine")
    output = tmp_path / "out"
    (output / "1").mkdir(parents=True)
    (output / "0").symlink_to(outside / "kept")
    (output / "1" / "0000.txt").symlink_to(outside / "new.txt")
    for name in ("hypotheses.jsonl", "job.log"):
        (output / name).symlink_to(outside / name)
    status, _, err = run(f"inputs={few}", f"output={output}", "formats=[txt]")
    assert status == 1 and err.count("lies outside the output folder") == 4
    assert [path.name for path in outside.rglob("*") if path.is_file()] == ["mine.txt"]
    assert (output / "1" / "0000.txt").is_file() and not (output / "1" / "0000.txt").is_symlink()


def test_a_number_that_is_not_finite_is_the_failure_of_its_recording(
    run: Run, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assemble = pipeline.assemble

    def wrong(audio: str, *arguments: Any, **keys: Any) -> Transcript:
        made = assemble(audio, *arguments, **keys)
        return replace(made, confidence=float("nan")) if "0001" in audio else made

    monkeypatch.setattr(pipeline, "assemble", wrong)
    status, _, err = run(f"inputs={few}", f"output={tmp_path}/out")
    assert status == 1 and f"{few}/0/0001.wav: ValueError: Out of range float values are not JSON compliant" in err
    assert len(written(tmp_path / "out")) == 2 * 3 + 2  # with hypotheses.jsonl and the log


def test_the_journal_of_an_older_version_can_be_overwritten(run: Run, few: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "job.jsonl").write_text('{"made_with": {}}\n{"id": "a", "status": "done"}\n')
    command = (f"inputs={few}", f"output={tmp_path}/out", "formats=[txt]")
    status, _, err = run(*command)
    assert status == 2 and "another version of speechrnn" in err and "overwrite=true" in err
    assert run(*command, "overwrite=true")[0] == 0
    assert run(*command)[0] == 0


def test_a_lost_machine_ends_the_job_in_one_sentence(
    run: Run, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*arguments: Any, **keys: Any) -> Iterator[np.ndarray]:
        raise ImportError("No module named 'soxr'")
        yield

    command = (f"inputs={few}", f"output={tmp_path}/out")
    with monkeypatch.context() as patch:
        patch.setattr(reader, "audio_blocks", missing)
        status, _, err = run(*command)
    assert status == 2 and err.count("\n") == 1 and "No module named 'soxr'" in err and "same command again" in err
    assert run(*command)[0] == 0


def test_a_changed_recording_is_transcribed_again(run: Run, few: Path, tmp_path: Path) -> None:
    command = (f"inputs={few}", f"output={tmp_path}/out")
    assert run(*command)[0] == 0
    save_audio(few / "0" / "0001.wav", np.zeros(RATE, np.float32), RATE)
    assert run(*command)[1].startswith("1 file (3 were there already), 1.0 s of audio")
    rows = [json.loads(line) for line in (tmp_path / "out" / "hypotheses.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == [f"0/{number:04}" for number in range(4)]
    assert rows[1]["duration"] == 1.0
    (few / "0" / "0001.wav").write_text("no audio any more")
    assert run(*command)[0] == 1
    assert "0/0001.txt" not in written(tmp_path / "out")
    assert len((tmp_path / "out" / "hypotheses.jsonl").read_text().splitlines()) == 3


def test_addresses_and_one_that_fails_half_way(run: Run, few: Path, tmp_path: Path) -> None:
    shutil.copy(few / "0" / "0001.wav", few / "0" / "half.wav")
    names = ["0000.wav", "half.wav", "0003.wav"]
    with servers.website(few) as web:
        address = f"{web}/0"
        (tmp_path / "names.lst").write_text(
            "\n".join([*(f"{address}/{entry}" for entry in names), f"{few}/0/0002.wav"])
        )
        status, out, err = run(f"inputs={tmp_path}/names.lst", f"output={tmp_path}/out", "formats=[json]")
    assert status == 1 and out.startswith("3 files, ")
    assert f"  {address}/half.wav " in err and str(tmp_path / "out") not in err
    found = {
        name.rpartition("/")[2]: json.loads(content)
        for name, content in written(tmp_path / "out").items()
        if name.endswith("json")
    }
    assert {name: entry["audio"] for name, entry in found.items()} == {
        "0000.json": f"{address}/0000.wav",
        "0003.json": f"{address}/0003.wav",
        "0002.json": f"{few}/0/0002.wav",
    }


def test_a_bucket_gives_what_its_folder_does(run: Run, few: Path, tmp_path: Path) -> None:
    with servers.bucket(few) as bucket:
        assert run(f"inputs='{bucket}/here'", f"output={tmp_path}/out", "formats=[txt]")[0] == 0
    assert run(f"inputs={few}", f"output={tmp_path}/local", "formats=[txt]")[0] == 0
    found, local = written(tmp_path / "out"), written(tmp_path / "local")
    texts = [f"0/{number:04}.txt" for number in range(4)]
    assert [found[entry] for entry in texts] == [local[entry] for entry in texts]


def test_standard_input(run: Run, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def send(content: bytes) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        return run("inputs=-", f"output={tmp_path}/out", "formats=[json]")

    assert send(f"{few}/0/0000.wav\n{few}/0/0001.wav\n".encode())[0] == 0
    assert send((few / "0" / "0002.wav").read_bytes())[0] == 0
    assert sorted(written(tmp_path / "out")) == ["0000.json", "0001.json", "hypotheses.jsonl", "stdin.json"]
    assert json.loads(written(tmp_path / "out")["stdin.json"])["audio"] == "-"
    status, _, err = send((few / "0" / "0002.wav").read_bytes()[:40])
    assert status == 1 and "  - " in err and "/stdin" not in err


def test_a_second_process_and_a_job_of_something_else(run: Run, few: Path, tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    command = (f"inputs={few}", f"output={tmp_path}/out")
    with TranscriptionRecord(tmp_path / "out", {}):
        status, _, err = run(*command)
        assert status == 2 and "Another process is writing" in err
    assert run(*command)[0] == 0
    status, _, err = run(*command, "segmentation.window=20")
    assert status == 2 and "out was made with segmentation.window=30.0: give the same keys to go on" in err
    (tmp_path / "out" / "job.jsonl").write_text('{"id": 1, "prompt": "a"}\n')
    status, _, err = run(*command)
    assert status == 2 and "job.jsonl is not the record of a job" in err


def test_a_job_that_is_begun_again(run: Run, few: Path, tmp_path: Path) -> None:
    command = (f"inputs={few}", f"output={tmp_path}/out")
    assert run(*command)[0] == 0
    first = written(tmp_path / "out")
    assert run(*command, "formats=[srt]", "overwrite=true")[1].startswith("4 files, ")
    assert sorted(name for name in written(tmp_path / "out") if name.endswith((".txt", ".json"))) == []
    assert run(*command, "overwrite=true")[0] == 0
    assert written(tmp_path / "out") == first


def test_many_failures_are_not_all_printed(run: Run, few: Path, tmp_path: Path) -> None:
    for number in range(30):
        (few / f"empty{number:02}.wav").touch()
    status, out, err = run(f"inputs={few}", f"output={tmp_path}/out")
    assert status == 1 and out.startswith("4 files, ")
    first, *reasons, last = err.splitlines()
    assert first.startswith("30 of 34 ") and len(reasons) == 20
    assert last == f"  ... and 10 more in {tmp_path}/out/job.jsonl"
