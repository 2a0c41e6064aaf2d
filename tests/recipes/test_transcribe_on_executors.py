"""`speechrnn transcribe` in several processes and on a cluster: the same bytes as in one process, whoever dies."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.acoustic_models import ALONE, record, save_listener, written
from helpers.ray_cluster import cluster

ROOT = Path(__file__).parents[2]
FILES = 150


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, recordings (one of which is none) and what a single process makes of them."""
    folder = tmp_path_factory.mktemp("job")
    save_listener(folder / "model")
    record(folder / "recordings", FILES)
    (folder / "recordings" / "0" / "0077.wav").write_bytes(b"RIFF, but no more of it")
    done = subprocess.run(command(folder, "local"), capture_output=True, text=True)
    assert done.returncode == 1 and "0077.wav" in done.stderr
    return folder


def command(folder: Path, executor: str, *keys: str) -> list[str]:
    given = [f"model={folder}/model", f"inputs=[{folder}/recordings]", f"output={folder}/{executor}"]
    script = str(ROOT / "recipes" / "transcribe.py")
    return [sys.executable, script, *ALONE, *given, f"executor={executor}", *keys]


def settled(folder: Path) -> int:
    """Inputs that the record says to be done or failed."""
    record = folder / "job.jsonl"
    return len(re.findall(rb'"status": "(?:done|failed)"', record.read_bytes())) if record.exists() else 0


def wait_for(process: subprocess.Popen[str], folder: Path, count: int) -> None:
    """Until so many inputs are settled."""
    while process.poll() is None and settled(folder) < count:
        time.sleep(0.02)


def test_processes_write_the_same_bytes_also_after_a_kill(job: Path) -> None:
    start = command(job, "processes", "executor.workers=2", "executor.chunk=4")
    with subprocess.Popen(start, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(process, job / "processes", 20)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert 20 <= settled(job / "processes") < FILES
    done = subprocess.run(start, capture_output=True, text=True)
    assert done.returncode == 1 and "1 of 150 could not be transcribed" in done.stderr
    assert settled(job / "processes") == FILES
    assert written(job / "processes") == written(job / "local")


def test_a_cluster_writes_the_same_bytes_when_a_node_is_killed(job: Path, tmp_path: Path) -> None:
    with cluster(tmp_path) as (address, node, token):
        start = command(job, "ray", f"executor.address={address}", "executor.chunk=2")
        with subprocess.Popen(
            start, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **token}
        ) as process:
            wait_for(process, job / "ray", 20)
            node.kill()
            before = settled(job / "ray")
            _, err = process.communicate(timeout=120)
    assert 20 <= before < FILES
    assert process.returncode == 1 and "1 of 150 could not be transcribed" in err
    assert settled(job / "ray") == FILES
    assert written(job / "ray") == written(job / "local")
