"""`speechrnn generate` in several processes and on a cluster: the same bytes as in one process, whoever dies."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.generators import make, tokenizer
from helpers.ray_cluster import cluster

from speechrnn.nn.language import save_language

UNCOMPLETED = "1 of them could not be completed; their lines say why."

ROOT = Path(__file__).parents[2]
PROMPTS = 400


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, prompts (one of which is none) and what a single process makes of them."""
    folder = tmp_path_factory.mktemp("job")
    tokens = tokenizer("char")
    save_language(folder / "model", make(len(tokens)), tokens, training={})
    letters = "abcdefgh"
    prompts = [letters[number % 8] + letters[number // 8 % 8] + letters[number // 64] for number in range(PROMPTS)]
    (folder / "p.txt").write_text("\n".join([*prompts[:200], "", *prompts[201:]]))
    done = subprocess.run(command(folder, "local"), capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith(UNCOMPLETED) and done.stderr.count("\n") == 1
    return folder


def command(folder: Path, *keys: str) -> list[str]:
    executor, *rest = keys
    options = ["max_new_tokens=40", "min_new_tokens=20", "num_return_sequences=3", "batch_size=64", "device=cpu"]
    given = [f"model={folder}/model", f"prompts={folder}/p.txt", f"output={folder}/{executor}.jsonl"]
    script = str(ROOT / "recipes" / "generate.py")
    return [sys.executable, script, *given, *options, f"executor={executor}", *rest]


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait_for(process: subprocess.Popen[str], path: Path, count: int) -> None:
    """Until the process has written so many lines."""
    while process.poll() is None and lines(path) < count:
        time.sleep(0.02)


def test_processes_write_the_same_bytes_also_after_a_kill(job: Path) -> None:
    start = command(job, "processes", "executor.workers=2", "executor.chunk=8")
    with subprocess.Popen(start, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(process, job / "processes.jsonl.partial", 20)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert 20 <= lines(job / "processes.jsonl.partial") < PROMPTS
    done = subprocess.run(start, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith(UNCOMPLETED) and done.stderr.count("\n") == 1
    assert re.match(r"400 prompts \(\d+ were there already\), ", done.stdout)
    assert (job / "processes.jsonl").read_bytes() == (job / "local.jsonl").read_bytes()


@pytest.mark.parametrize("executor", ["local", "processes"])
def test_ctrl_c_ends_a_job_that_can_be_gone_on_with(job: Path, tmp_path: Path, executor: str) -> None:
    output = tmp_path / "o.jsonl"
    keys = ["executor.workers=1", "executor.chunk=4"] if executor == "processes" else []
    start = command(job, executor, *keys)
    start += [f"output={output}", "batch_size=4"]
    with subprocess.Popen(
        [override for override in start if not override.startswith("output=") or override == f"output={output}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        wait_for(process, output.with_name("o.jsonl.partial"), 5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out == ""
    assert err.startswith("stopping when what is begun is done") and "give the same command again" in err
    assert "Traceback" not in err
    written = output.with_name("o.jsonl.partial").read_bytes()
    assert (job / "local.jsonl").read_bytes().startswith(written) and written.endswith(b"\n")


def test_a_cluster_writes_the_same_bytes_when_a_node_is_killed(job: Path, tmp_path: Path) -> None:
    with cluster(tmp_path) as (address, node, token):
        keys = [f"executor.address={address}", "executor.chunk=4", "batch_size=4"]
        start = [override for override in command(job, "ray", *keys) if override != "batch_size=64"]
        environment = {**os.environ, **token}
        with subprocess.Popen(
            start, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        ) as process:
            wait_for(process, job / "ray.jsonl.partial", 20)
            node.kill()
            before = lines(job / "ray.jsonl.partial")
            out, err = process.communicate(timeout=120)
        assert 20 <= before < PROMPTS
        assert process.returncode == 1 and err.startswith(UNCOMPLETED)
        assert re.fullmatch(r"400 prompts, .*\n", out)
        assert (job / "ray.jsonl").read_bytes() == (job / "local.jsonl").read_bytes()
