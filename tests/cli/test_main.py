"""The command line, on a small recipe that each test finds in a folder of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.command import Command, Result

from speechrnn.version import __version__


def test_the_command_alone_lists_the_recipes(speechrnn: Command) -> None:
    for arguments in ([], ["--help"], ["-h"]):
        result = speechrnn(*arguments)
        assert result.status == 0
        assert "recipes:\n  another  Do something else.\n  toy      Play with the configuration.\n" in result.out
        assert result.out.endswith("\nlessons:\n  first    Learn.\n")
        assert "_shared" not in result.out


def test_version(speechrnn: Command) -> None:
    assert speechrnn("--version").out == f"speechrnn {__version__}\n"


def test_overrides_reach_the_recipe_resolved(speechrnn: Command, tmp_path: Path) -> None:
    result = speechrnn("toy", "corpus=yesno", "corpus.root=../data", "seed=7", "experiment=best")
    assert result.status == 0
    assert result.config == {
        "output": None,
        "inputs": [],
        "seed": 7,
        "twice": 7,
        "corpus": {"kind": "yesno", "root": "../data", "split": "kaldi"},
        "acoustic": {"layers": 4, "size": 256, "features": {"bins": 80}},
    }
    assert result.err == ""


def test_it_runs_where_it_was_typed_and_leaves_nothing_there(speechrnn: Command, tmp_path: Path) -> None:
    assert speechrnn("toy", "corpus.root=x").runs[0]["cwd"] == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.integration
def test_the_script_is_the_same_program(speechrnn: Command, root: Path, tmp_path: Path) -> None:
    command = speechrnn("toy", "corpus.root=x", "seed=1")
    script = subprocess.run(
        [sys.executable, root / "recipes" / "toy.py", "corpus.root=x", "seed=1"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert (script.returncode, script.stdout, script.stderr) == (command.status, command.out, command.err)


@pytest.mark.integration
def test_a_training_can_start_its_processes_from_the_arguments(speechrnn: Command, root: Path, tmp_path: Path) -> None:
    """Lightning starts `python sys.argv[0] sys.argv[1:]` with Hydra overrides of its own behind."""
    first = speechrnn("toy", "corpus.root=a=b", "seed=1")
    child = subprocess.run(
        [
            sys.executable,
            *first.runs[0]["argv"],
            'hydra.run.dir="."',
            "hydra.job.name=train_ddp_process_1",
            "hydra.output_subdir=null",
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert Result(child.returncode, child.stdout, child.stderr).config == first.config


def test_a_sweep_runs_each_job_and_its_processes_only_that_job(speechrnn: Command, tmp_path: Path) -> None:
    result = speechrnn("toy", "corpus.root=x", "--multirun", "seed=7,1,2,8")
    assert [run["config"]["seed"] for run in result.runs] == [7, 1, 2, 8]
    assert "seed=2 is bad" in result.err
    assert result.status == 2
    arguments = result.runs[0]["argv"]
    assert "seed=7" in arguments
    assert not {"-m", "--multirun"} & set(arguments)
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*.*")] == [Path("outputs/toy/multirun.yaml")]


def test_hydras_own_flags_work(speechrnn: Command, tmp_path: Path) -> None:
    assert "layers: 5" in speechrnn("toy", "--cfg", "job", "acoustic.layers=5").out
    (tmp_path / "mine" / "corpus").mkdir(parents=True)
    (tmp_path / "mine" / "corpus" / "own.yaml").write_text("kind: own\n")
    assert speechrnn("toy", "corpus=own", "--config-dir", "mine").config["corpus"] == {"kind": "own"}


def test_the_return_value_is_the_exit_status(speechrnn: Command) -> None:
    assert speechrnn("toy", "corpus.root=x", "seed=1").status == 1


def test_bad_input_is_one_sentence(speechrnn: Command) -> None:
    assert speechrnn("toy", "corpus.root=x", "seed=2").complaint == "seed=2 is bad: take another."


@pytest.mark.integration
def test_a_bug_keeps_its_traceback(speechrnn: Command, root: Path, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        speechrnn("toy", "corpus.root=x", "seed=3")
    result = subprocess.run(
        [sys.executable, root / "recipes" / "toy.py", "corpus.root=x", "seed=3"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert result.returncode == 1
    assert "in main\n" in result.stderr
    assert result.stderr.endswith("ZeroDivisionError: a bug\n")
    assert "hydra/" not in result.stderr


def test_a_model_that_is_too_large_is_a_sentence(speechrnn: Command) -> None:
    result = speechrnn("toy", "corpus.root=x", "seed=11")
    assert result.status == 2 and result.err.count("\n") == 1
    assert "more memory than there is (256 GB at once)" in result.err and "smaller model" in result.err


@pytest.mark.parametrize(("seed", "word"), [(12, "some/file"), (13, "TMPDIR")])
def test_a_full_disk_is_a_sentence(speechrnn: Command, seed: int, word: str) -> None:
    result = speechrnn("toy", "corpus.root=x", f"seed={seed}")
    assert result.status == 2 and result.err.count("\n") == 1
    assert word in result.err and "free some space" in result.err


@pytest.mark.parametrize("seed", [4, 5])
def test_an_interruption_says_how_to_go_on(speechrnn: Command, seed: int) -> None:
    result = speechrnn("toy", "corpus.root=x", f"seed={seed}")
    assert result.status == 130
    assert result.err == "\nspeechrnn: interrupted; what is written stays: give the same command again.\n"


@pytest.mark.integration
def test_a_real_ctrl_c(root: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, root / "recipes" / "toy.py", "corpus.root=x", "seed=6"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        # A shell starts what runs in its background deaf to Ctrl-C, and a child would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    while process.stdout.readline() != "ready\n":
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (
        130,
        "\nspeechrnn: interrupted; what is written stays: give the same command again.\n",
    )


@pytest.mark.integration
def test_a_reader_that_goes_away_ends_a_recipe_without_a_word(root: Path, tmp_path: Path) -> None:
    """As in `speechrnn generate | head`."""
    command = [sys.executable, str(root / "recipes" / "toy.py"), "corpus.root=x", "seed=9"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert (process.stderr.read(), process.wait(timeout=60)) == ("", 0)


def test_another_pipe_that_breaks_is_an_error(speechrnn: Command) -> None:
    with pytest.raises(BrokenPipeError):
        speechrnn("toy", "corpus.root=x", "seed=10")


def test_the_process_is_left_as_it_was(speechrnn: Command) -> None:
    before = dict(os.environ)
    speechrnn("toy", "corpus.root=x")
    speechrnn("toy", "acoustic.layerz=1")
    assert dict(os.environ) == before
