"""A disk that fills up, cannot be written, or loses the output under a job: a sentence, and the job goes on later.

Also a clock that jumps: nothing depends on it but how times are shown.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chaos.campaign import differences
from chaos.jobs import OUTPUT, Job, make_jobs
from helpers.acoustic_models import RATE

from speechrnn.audio import save_audio
from speechrnn.cli import main as cli
from speechrnn.experiments.log import stop_logging
from speechrnn.jobs import generation_job
from speechrnn.jobs.live_output import LiveTranscript
from speechrnn.jobs.outputs import Outputs
from speechrnn.training.loop import Loop

NAMES = ("transcribe", "generate", "speech_to_text", "text_prediction", "listen")
# By job: what is done again and again, and at which time it is disturbed.
WORK: dict[str, tuple[Any, str, int]] = {
    "transcribe": (Outputs, "write", 5),
    "generate": (generation_job, "append", 8),
    "speech_to_text": (Loop, "save", 3),
    "text_prediction": (Loop, "save", 3),
    "listen": (LiveTranscript, "add", 3),
}


@dataclass
class Disk:
    """A small disk, and what may happen to it."""

    folder: Path

    def mount(self) -> bool:
        """Mount it; return whether that may be done."""
        return shutil.which("mount") is not None and self._mount("-t", "tmpfs", "-o", "size=16m", "tmpfs") == 0

    def _mount(self, *arguments: str, place: str = "") -> int:
        return subprocess.run(["mount", *arguments, str(self.folder / place)], capture_output=True).returncode

    def fill(self) -> None:
        """Leave no room."""
        with (self.folder / "filler").open("wb", buffering=0) as file:
            for size in (2**20, 2**12, 1):
                try:
                    while file.write(b"\0" * size) == size:
                        pass
                except OSError:
                    continue

    def protect(self) -> None:
        """Let files in the output be read only; those that are open can still be written."""
        output = self.folder / OUTPUT
        output.mkdir(exist_ok=True)
        assert self._mount("--bind", str(output), place=OUTPUT) == 0
        assert self._mount("-o", "remount,bind,ro", place=OUTPUT) == 0

    def remove(self) -> None:
        """Remove the output."""
        shutil.rmtree(self.folder / OUTPUT)

    def mend(self) -> None:
        """Undo all of it."""
        subprocess.run(["umount", str(self.folder / OUTPUT)], capture_output=True)
        (self.folder / "filler").unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """The working folder, on a disk of its own."""
    made = Disk(tmp_path / "disk")
    made.folder.mkdir()
    if not made.mount():
        pytest.skip("only root may mount a small disk")
    monkeypatch.chdir(made.folder)
    yield made
    stop_logging()
    monkeypatch.undo()
    os.chdir("/")
    made.mend()
    subprocess.run(["umount", "-l", str(made.folder)], check=True)


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Job]:
    folder = tmp_path_factory.mktemp("jobs")
    sound = (np.random.default_rng(0).standard_normal(3 * RATE) * 0.1).astype(np.float32)
    save_audio(folder / "talk.wav", sound, RATE)
    made = {job.name: job for job in make_jobs(folder / "inputs")}
    listen = [part.replace("input=-", f"input={folder}/talk.wav") for part in made["listen"].command]
    return made | {
        "listen": Job("listen", [*listen, "pace=0"], 1, result=made["listen"].result, check=made["listen"].check)
    }


Run = Callable[[Job], tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give the command of a job, in this process -> (exit status, stderr)."""

    def command(job: Job) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", sys.argv)
        try:
            status = cli.main(list(job.command))
        except SystemExit as end:
            status = int(end.code or 0)
        return status, capsys.readouterr().err

    return command


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, dict[str, Any]]:
    """Results by job, made once."""
    return {}


def expected(job: Job, run: Run, results: dict[str, dict[str, Any]], folder: Path) -> dict[str, Any]:
    """The result of a job that nothing disturbs."""
    if job.name not in results:
        folder.mkdir()
        before = Path.cwd()
        os.chdir(folder)
        assert run(job)[0] == 0
        results[job.name] = job.result(folder / OUTPUT)
        os.chdir(before)
    return results[job.name]


def disturb(name: str, act: Callable[[], None], patch: pytest.MonkeyPatch) -> list[int]:
    """Let something happen in the middle of a job; return a list that says when it has."""
    place, function, number = WORK[name]
    whole, happened, calls = getattr(place, function), [], [0]

    def and_act(*arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == number:
            act()
            happened.append(number)
        return whole(*arguments, **named)

    patch.setattr(place, function, and_act)
    return happened


@pytest.mark.parametrize("what", ["fill", "protect", "remove"])
@pytest.mark.parametrize("name", NAMES)
def test_one_sentence_and_the_same_command_goes_on(
    name: str,
    what: str,
    disk: Disk,
    jobs: dict[str, Job],
    run: Run,
    undisturbed: dict[str, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = jobs[name]
    whole = expected(job, run, undisturbed, folder=tmp_path / "whole")
    with monkeypatch.context() as patch:
        happened = disturb(name, getattr(disk, what), patch)
        status, err = run(job)
    assert happened
    sentence = err.splitlines()[-1]
    assert status == 2 and sentence.startswith("speechrnn: ") and OUTPUT in sentence and "Traceback" not in err, err
    disk.mend()
    if what != "remove":
        assert job.check(disk.folder / OUTPUT, whole) == []
    status, err = run(job)
    assert status == 0, err
    result = job.result(disk.folder / OUTPUT)
    assert differences(result, whole) == []
    assert not [path for path in (disk.folder / OUTPUT).rglob("*") if path.name.endswith((".tmp", ".partial"))]


@pytest.mark.parametrize("name", NAMES)
def test_an_output_that_can_only_be_read(name: str, disk: Disk, jobs: dict[str, Job], run: Run) -> None:
    disk.protect()
    status, err = run(jobs[name])
    assert status == 2 and err.count("\n") == 1 and OUTPUT in err, err
    assert not any((disk.folder / OUTPUT).iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_a_clock_that_jumps_back_and_forth(
    name: str,
    jobs: dict[str, Job],
    run: Run,
    undisturbed: dict[str, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = jobs[name]
    whole = expected(job, run, undisturbed, folder=tmp_path / "whole")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    clock, calls = time.time, [0]

    def jumping() -> float:
        calls[0] += 1
        return clock() + (-1e8, 0.0, 1e8, -3600.0)[calls[0] % 4]

    with monkeypatch.context() as patch:
        patch.setattr(time, "time", jumping)
        status, err = run(job)
    stop_logging()
    assert status == 0, err
    assert differences(job.result(tmp_path / "here" / OUTPUT), whole) == []
