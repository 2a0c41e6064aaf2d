"""The output of a generation job: what stands in it after whatever has happened to the process that wrote it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from speechrnn.core.errors import UserError
from speechrnn.generation.results import Completion, Result, Token
from speechrnn.jobs.generation_job import GenerationOutput, ResultCount

MADE_WITH = {"model": "sha256:m", "prompts": "sha256:p", "temperature": 1.0, "stop_strings": ("a",)}
RESULTS = [
    Result(1, "a", (Completion("b", (Token("b", -0.5),), -0.5, finish_reason="eos"),)),
    Result("ü", "\ud800", error="No."),
    Result(3, "c"),
]


def run(
    path: Path, results: list[Result], overwrite: bool = False, stop: bool = False, **changes: object
) -> ResultCount:
    """Write results behind those that are there; returns what was there."""
    with GenerationOutput(path, {**MADE_WITH, **changes}, overwrite) as output:
        before = output.begin()
        if not output.finished:
            with output.writing() as add:
                for result in results[before.lines :]:
                    add(result)
                if stop:
                    raise KeyboardInterrupt
    return before


def test_results_stand_in_the_partial_file_until_all_are_there(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "out.jsonl"
    with GenerationOutput(path, MADE_WITH) as output:
        assert output.begin() == ResultCount(0, 0) and not output.finished
        with output.writing() as add:
            add(RESULTS[0])
            assert json.loads(output.partial.read_text()) == RESULTS[0].to_json()
            assert not path.exists()
            add(RESULTS[1])
        assert output.finished and not output.partial.exists()
    assert [json.loads(line) for line in path.read_text().splitlines()] == [entry.to_json() for entry in RESULTS[:2]]
    assert run(path, RESULTS) == ResultCount(2, 1)


@pytest.mark.parametrize("torn", [b"", b'{"id": 2', b'{"id": 2, "prompt": "\xc3', bytes(100), bytes(9) + b"{}\n{}\n"])
def test_what_was_begun_goes_on_after_its_last_whole_line(tmp_path: Path, torn: bytes) -> None:
    run(tmp_path / "whole", RESULTS)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out", RESULTS[:2], stop=True)
    with (tmp_path / "out.partial").open("ab") as file:
        file.write(torn)
    assert run(tmp_path / "out", RESULTS) == ResultCount(2, 1)
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()


def test_a_job_that_ends_before_its_first_result_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out", [], stop=True)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "out.partial").touch()  # of an earlier version, or of a process that was killed while it began
    assert run(tmp_path / "out", RESULTS) == ResultCount(0, 0)


def test_a_finished_file_that_is_damaged_is_mended(tmp_path: Path) -> None:
    run(tmp_path / "out", RESULTS)
    whole = (tmp_path / "out").read_bytes()
    first, second, third = whole.splitlines(keepends=True)
    (tmp_path / "out").write_bytes(first + bytes(len(second)) + third)
    assert run(tmp_path / "out", RESULTS) == ResultCount(1, 0)
    assert (tmp_path / "out").read_bytes() == whole


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
    if finished:
        run(tmp_path / "out", RESULTS)
    else:
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "out", RESULTS[:1], stop=True)
    with pytest.raises(UserError) as error:
        run(tmp_path / "out", RESULTS, **{key: value})  # type: ignore[arg-type]
    assert sentence in str(error.value) and str(tmp_path / "out") in str(error.value)
    assert run(tmp_path / "out", RESULTS[:1], overwrite=True, **{key: value}) == ResultCount(0, 0)  # type: ignore[arg-type]
    assert run(tmp_path / "out", RESULTS[:1], **{key: value}) == ResultCount(1, 0)  # type: ignore[arg-type]


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UserError, match="out is there already; choose another output, or overwrite=true"):
        run(tmp_path / "out", RESULTS)
    assert (tmp_path / "out").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


def test_a_job_of_another_version_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "out.partial").write_text("{}\n")
    (tmp_path / "out.job.json").write_text("{}")
    with pytest.raises(UserError, match="another version of speechrnn"):
        run(tmp_path / "out", RESULTS)


def test_a_journal_of_another_version_can_be_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out.job.jsonl").write_text('{"made_with": {}}\n')
    with pytest.raises(UserError, match=r"another version of speechrnn.* overwrite=true"):
        run(tmp_path / "out", RESULTS)
    run(tmp_path / "out", RESULTS, overwrite=True)
    assert run(tmp_path / "out", RESULTS) == ResultCount(3, 1)


@pytest.mark.parametrize("overwrite", [False, True])
def test_two_processes_do_not_write_the_same(tmp_path: Path, overwrite: bool) -> None:
    pytest.importorskip("fcntl")
    with GenerationOutput(tmp_path / "out", MADE_WITH) as output:
        output.begin()
        with output.writing() as add:
            add(RESULTS[0])
            with pytest.raises(UserError, match="Another process is writing"):
                run(tmp_path / "out", RESULTS, overwrite=overwrite)
            add(RESULTS[2])
    assert len((tmp_path / "out").read_text().splitlines()) == 2


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(UserError, match=r"Cannot write .*out\.partial: No space left on device; give the command"):
            run(tmp_path / "out", RESULTS)
    assert run(tmp_path / "out", RESULTS) == ResultCount(3, 1)


def test_an_output_that_cannot_be_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write"):
        run(tmp_path / "file" / "out", RESULTS)
