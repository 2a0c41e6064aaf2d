"""The output of a generation job: what stands in it after whatever has happened to the process that wrote it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from speechrnn.core.errors import UserError
from speechrnn.generation.results import Completion, Result, Token
from speechrnn.jobs import generation_job as module
from speechrnn.jobs.generation_job import GenerationOutput, ResultCount

MADE_WITH = {"model": "sha256:m", "prompts": "sha256:p", "temperature": 1.0, "stop_strings": ("a",)}
RESULTS = [
    Result(1, "a", (Completion("b", (Token("b", -0.5),), -0.5, "eos"),)),
    Result("ü", "\ud800", error="No."),
    Result(3, "c"),
]


def write(path: Path, results: Sequence[Result], overwrite: bool = False, **changed: object) -> ResultCount:
    """Write results behind what is there, to the end; return what was there."""
    with GenerationOutput(path, {**MADE_WITH, **changed}) as output:
        before = output.begin(overwrite)
        if not output.finished:
            with output.writing() as add:
                for result in results:
                    add(result)
    return before


def interrupt(path: Path, results: Sequence[Result]) -> None:
    """Write results, and stop before the end."""
    with (
        pytest.raises(KeyboardInterrupt),
        GenerationOutput(path, MADE_WITH) as output,
    ):
        output.begin(overwrite=False)
        with output.writing() as add:
            for result in results:
                add(result)
            raise KeyboardInterrupt


def test_results_stand_in_the_partial_file_until_all_are_there(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "out.jsonl"
    with GenerationOutput(path, MADE_WITH) as output:
        assert output.begin(overwrite=False) == ResultCount(0, 0) and not output.finished
        with output.writing() as add:
            add(RESULTS[0])
            assert json.loads(output.partial.read_text()) == RESULTS[0].to_json()
            assert not path.exists()
            add(RESULTS[1])
        assert output.finished and not output.partial.exists()
    assert [json.loads(line) for line in path.read_text().splitlines()] == [result.to_json() for result in RESULTS[:2]]
    assert write(path, []) == ResultCount(2, 1)
    header = json.loads(path.with_name("out.jsonl.job.jsonl").read_text().splitlines()[0])
    assert header["made_with"] == {**MADE_WITH, "stop_strings": ["a"]}


@pytest.mark.parametrize("torn", [b"", b'{"id": 2', b'{"id": 2, "prompt": "\xc3', b"\0" * 30 + b"\n", b"\0\n{}\n"])
def test_a_job_goes_on_after_its_last_whole_line(tmp_path: Path, torn: bytes) -> None:
    write(tmp_path / "whole", RESULTS)
    path = tmp_path / "out"
    interrupt(path, RESULTS[:2])
    with path.with_name("out.partial").open("ab") as file:
        file.write(torn)
    assert write(path, RESULTS[2:]) == ResultCount(2, 1)
    assert path.read_bytes() == (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("temperature", 0.5, "was made with temperature=1.0"),
        ("stop_strings", [], 'was made with stop_strings=["a"]'),
        ("model", "sha256:n", "was made with another model"),
        ("prompts", "sha256:q", "was made with other prompts"),
    ],
)
def test_other_keys_do_not_go_on_with_it(
    tmp_path: Path, finished: bool, key: str, value: object, sentence: str
) -> None:
    path = tmp_path / "out"
    if finished:
        write(path, RESULTS)
    else:
        interrupt(path, RESULTS[:1])
    with pytest.raises(UserError) as error:
        write(path, [], **{key: value})
    assert sentence in str(error.value) and str(path) in str(error.value)
    assert write(path, RESULTS[:1], overwrite=True, **{key: value}) == ResultCount(0, 0)
    assert write(path, [], **{key: value}) == ResultCount(1, 0)


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UserError, match="out is there already; choose another output, or overwrite=true"):
        write(tmp_path / "out", RESULTS)
    assert (tmp_path / "out").read_text() == "mine"


def test_a_job_of_an_older_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out.partial").write_text('{"id": 1}\n')
    (tmp_path / "out.job.json").write_text('{"model": "m"}')
    with pytest.raises(UserError, match="another version of speechrnn"):
        write(tmp_path / "out", RESULTS)
    assert (tmp_path / "out.partial").read_text() == '{"id": 1}\n'
    write(tmp_path / "out", RESULTS, overwrite=True)
    assert len((tmp_path / "out").read_text().splitlines()) == 3


@pytest.mark.parametrize("overwrite", [False, True])
def test_two_processes_do_not_write_the_same(tmp_path: Path, overwrite: bool) -> None:
    pytest.importorskip("fcntl")
    path = tmp_path / "out"
    with GenerationOutput(path, MADE_WITH) as output:
        output.begin(overwrite=False)
        with output.writing() as add:
            add(RESULTS[0])
            with pytest.raises(UserError, match="Another process is writing"):
                write(path, RESULTS, overwrite=overwrite)
            add(RESULTS[2])
    assert len(path.read_text().splitlines()) == 2


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "out"
    with GenerationOutput(path, MADE_WITH) as output:
        output.begin(overwrite=False)
        with monkeypatch.context() as patch:
            patch.setattr(module.os, "fsync", full)
            with (
                pytest.raises(
                    UserError, match=r"Cannot write .*out\.partial: No space left on device; give the command"
                ),
                output.writing() as add,
            ):
                add(RESULTS[0])
    assert write(path, RESULTS[1:]) == ResultCount(1, 0)


def test_an_output_that_cannot_be_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write"):
        write(tmp_path / "file" / "out", RESULTS)
