"""`speechrnn transcribe`, killed, interrupted and on a full disk, and the same command again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.acoustic_models import ALONE, record, save_listener, written
from helpers.transcription_jobs import QUIET, ROOT, Run, done, make_run, start, states

from speechrnn.jobs.outputs import Outputs
from speechrnn.transcription import pipeline, reader
from speechrnn.transcription.transcript import Transcript


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, model: Path) -> Run:
    return make_run([f"model={model}", *ALONE], capsys, monkeypatch)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_listener(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("many"), 300)


@pytest.fixture(scope="module")
def undisturbed(model: Path, many: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    output = tmp_path_factory.mktemp("whole")
    process = start(f"model={model}", f"inputs={many}", f"output={output}")
    _, err = process.communicate()
    assert process.returncode == 0, err
    return written(output)


KILLER = """if True:
    import os, random, runpy, sys, time
    from pathlib import Path
    import speechrnn.jobs.transcription_worker, hydra  # once, for all that are forked
    from speechrnn.jobs.outputs import Outputs

    write = Outputs.write
    # Slowly, so that there is always something left to kill on a machine that is busy.
    Outputs.write = lambda *arguments: (time.sleep(0.005), write(*arguments))[1]
    script, record, attempts, *arguments = sys.argv[1:]
    record, dice = Path(record), random.Random()
    dones = lambda: record.read_bytes().count(b'"done"') if record.exists() else 0
    for attempt in range(int(attempts)):
        aim = dones() + dice.randint(1, 60)
        process = os.fork()
        if not process:
            sys.argv = [script, *arguments]
            runpy.run_path(script, run_name="__main__")
        while os.waitpid(process, os.WNOHANG) == (0, 0):
            if dones() >= aim or (attempt == 0 and record.exists()):
                time.sleep(dice.uniform(0, 0.02))
                os.kill(process, 9)
                print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
                break
            time.sleep(0.001)
        else:
            break
"""


def test_killed_at_any_moment_each_transcript_is_there_once_and_whole(
    run: Run, model: Path, many: Path, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    assert len(undisturbed) == 601
    output = tmp_path / "killed"
    command = (f"inputs={many}", f"output={output}")
    script = str(ROOT / "recipes" / "transcribe.py")
    arguments = [script, str(output / "job.jsonl"), "6", f"model={model}", *ALONE, *command]
    killer = subprocess.run([sys.executable, "-c", KILLER, *arguments], capture_output=True, text=True, env=QUIET)
    assert killer.stdout.split() == ["-9"] * killer.stdout.count("\n") and killer.stdout.count("\n") >= 3, killer.stderr
    for name, content in written(output).items():
        if not name.endswith((".tmp", ".partial")):
            assert content == undisturbed[name], name
    before = done(output)
    status, out, err = run(*command)
    assert (status, err) == (0, "") and (before in (0, 300) or f"({before} were there already)" in out)
    assert written(output) == undisturbed
    ends = Counter(entry["id"] for entry in states(output) if entry["status"] != "left")
    assert len(ends) == 300 and set(ends.values()) == {1}
    assert run(*command)[:2] == (0, f"{output} is finished: nothing to do; overwrite=true would make it anew.\n")
    assert written(output) == undisturbed


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, signal.Signals]]:
    """Send signals to this process after so many transcripts, while little is read ahead."""
    monkeypatch.setattr(pipeline, "POOL_SECONDS", 1.0)
    monkeypatch.setattr(pipeline, "DECODING_SECONDS", 1.0)
    monkeypatch.setattr(reader, "CLIP_BATCH_SECONDS", 1.0)
    waiting: list[tuple[int, signal.Signals]] = []
    write = Outputs.write
    count = 0

    def and_send(self: Outputs, id: str, transcript: Transcript) -> str | None:
        nonlocal count
        count += 1
        while waiting and waiting[0][0] == count:
            os.kill(os.getpid(), waiting.pop(0)[1])
        return write(self, id, transcript)

    monkeypatch.setattr(Outputs, "write", and_send)
    return waiting


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_what_is_begun_and_says_how_to_go_on(
    run: Run,
    many: Path,
    tmp_path: Path,
    number: signal.Signals,
    signals: list[tuple[int, signal.Signals]],
    undisturbed: dict[str, bytes],
) -> None:
    output = tmp_path / "out"
    command = (f"inputs={many}", f"output={output}")
    signals.append((5, number))
    status, out, err = run(*command)
    there = done(output)
    assert status == 130 and 5 < there < 300
    assert out.startswith(f"{there} files, ")
    first, last = err.splitlines()
    assert first.startswith("stopping when what is begun is done")
    assert last == f"{300 - there} of 300 are left: give the same command to go on."
    assert len((output / "hypotheses.jsonl").read_text().splitlines()) == there
    assert not [name for name in written(output) if name.endswith((".tmp", ".partial"))]
    status, out, err = run(*command)
    assert (status, err) == (0, "") and out.startswith(f"{300 - there} files ({there} were there already), ")
    assert written(output) == undisturbed


def test_a_second_interruption_does_not_wait(
    run: Run, many: Path, tmp_path: Path, signals: list[tuple[int, signal.Signals]]
) -> None:
    signals += [(5, signal.SIGINT), (6, signal.SIGINT)]
    status, out, err = run(f"inputs={many}", f"output={tmp_path}/out")
    assert (status, out) == (130, "") and err.endswith("what is written stays: give the same command again.\n")
    assert done(tmp_path / "out") == 5


@pytest.fixture
def few(tmp_path: Path) -> Path:
    return record(tmp_path / "few", 4)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with room for a few transcripts."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_up_stops_the_job_until_there_is_room(run: Run, tmp_path: Path, small_disk: Path) -> None:
    few = record(tmp_path / "few", 40)
    assert run(f"inputs={few}", f"output={tmp_path}/whole")[0] == 0
    whole = written(tmp_path / "whole")
    command = (f"inputs={few}", f"output={small_disk}/out")
    status, _, err = run(*command)
    assert status == 2 and err.count("\n") == 1 and "No space left on device" in err and "same command again" in err
    there = written(small_disk / "out")
    there.pop("hypotheses.jsonl.partial", None)
    assert 0 < len(there) < len(whole) - 1
    assert all(content == whole[name] for name, content in there.items())
    finished = done(small_disk / "out")
    assert 0 < finished < 40
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    status, out, err = run(*command)
    assert (status, err) == (0, "") and out.startswith(f"{40 - finished} files ({finished} were there already)")
    assert written(small_disk / "out") == whole


def test_a_full_disk_that_is_no_real_one(run: Run, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed: list[Path] = []
    replace = Path.replace

    def full(self: Path, target: Path) -> Path:
        renamed.append(target)
        if len(renamed) > 5:
            raise OSError(28, "No space left on device")
        return replace(self, target)

    command = (f"inputs={few}", f"output={tmp_path}/out")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        status, _, err = run(*command)
    assert status == 2 and "No space left on device" in err
    assert len(renamed) == 6 and done(tmp_path / "out") == 2
    assert run(*command)[0] == 0 and len(written(tmp_path / "out")) == 9
