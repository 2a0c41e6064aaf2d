from __future__ import annotations

import json
from pathlib import Path

import pytest

from speechrnn.core.errors import UserError
from speechrnn.generation.results import Completion, Result, Token
from speechrnn.jobs import generation_job as module
from speechrnn.jobs.generation_job import Job, Progress

MADE_WITH = {"model": "m", "prompts": "p", "temperature": 1.0, "stop_strings": ("a",)}
RESULTS = [
    Result(1, "a", (Completion("b", (Token("b", -0.5),), -0.5, "eos"),)),
    Result("ü", "\ud800", error="No."),
    Result(3, "c"),
]


def write(job: Job, results: list[Result]) -> None:
    with job.writing() as add:
        for result in results:
            add(result)


def test_results_stand_in_the_partial_file_until_all_are_there(tmp_path: Path) -> None:
    job = Job(tmp_path / "deep" / "out.jsonl", MADE_WITH)
    assert job.begin(overwrite=False) == Progress(0, 0) and not job.finished
    with job.writing() as add:
        add(RESULTS[0])
        assert json.loads(job.partial.read_text()) == RESULTS[0].to_json()
        assert not job.output.exists()
        add(RESULTS[1])
    assert job.finished and not job.partial.exists()
    lines = job.output.read_text().splitlines()
    assert [json.loads(line) for line in lines] == [result.to_json() for result in RESULTS[:2]]
    assert Job(job.output, MADE_WITH).begin(overwrite=False) == Progress(2, 1)
    assert json.loads(job.record.read_text()) == {**MADE_WITH, "stop_strings": ["a"]}


@pytest.mark.parametrize("torn", [b"", b'{"id": 2', b'{"id": 2, "prompt": "\xc3'])
def test_what_was_begun_goes_on_after_its_last_whole_line(tmp_path: Path, torn: bytes) -> None:
    whole = Job(tmp_path / "whole", MADE_WITH)
    whole.begin(overwrite=False)
    write(whole, RESULTS)
    job = Job(tmp_path / "out", MADE_WITH)
    job.begin(overwrite=False)
    with pytest.raises(KeyboardInterrupt), job.writing() as add:
        add(RESULTS[0])
        add(RESULTS[1])
        raise KeyboardInterrupt
    with job.partial.open("ab") as file:
        file.write(torn)
    again = Job(tmp_path / "out", MADE_WITH)
    assert again.begin(overwrite=False) == Progress(2, 1)
    write(again, RESULTS[2:])
    assert again.output.read_bytes() == whole.output.read_bytes()


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("temperature", 0.5, "was made with temperature=1.0"),
        ("stop_strings", [], 'was made with stop_strings=["a"]'),
        ("model", "n", "was made with another model"),
        ("prompts", "q", "was made with other prompts"),
    ],
)
def test_other_keys_do_not_go_on_with_it(
    tmp_path: Path, finished: bool, key: str, value: object, sentence: str
) -> None:
    job = Job(tmp_path / "out", MADE_WITH)
    job.begin(overwrite=False)
    if finished:
        write(job, RESULTS)
    else:
        job.partial.write_text("")
    other = Job(tmp_path / "out", {**MADE_WITH, key: value})
    with pytest.raises(UserError) as error:
        other.begin(overwrite=False)
    assert sentence in str(error.value) and str(tmp_path / "out") in str(error.value)
    assert other.begin(overwrite=True) == Progress(0, 0)
    assert not other.finished and not other.partial.exists()
    write(other, RESULTS[:1])
    assert Job(tmp_path / "out", {**MADE_WITH, key: value}).begin(overwrite=False) == Progress(1, 0)


@pytest.mark.parametrize("record", [None, "", "[]"])
def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path, record: str | None) -> None:
    (tmp_path / "out").write_text("mine")
    if record is not None:
        (tmp_path / "out.job.json").write_text(record)
    with pytest.raises(UserError, match="out is there already; choose another output, or overwrite=true"):
        Job(tmp_path / "out", MADE_WITH).begin(overwrite=False)
    assert (tmp_path / "out").read_text() == "mine"


def test_two_processes_do_not_write_the_same(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    job = Job(tmp_path / "out", MADE_WITH)
    job.begin(overwrite=False)
    with job.writing() as add:
        add(RESULTS[0])
        with pytest.raises(UserError, match="Another process is writing"), Job(tmp_path / "out", MADE_WITH).writing():
            pass
        add(RESULTS[2])
    assert len(job.output.read_text().splitlines()) == 2


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    job = Job(tmp_path / "out", MADE_WITH)
    job.begin(overwrite=False)
    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(
        UserError, match=r"Cannot write .*out\.partial: No space left on device; give the command again"
    ):
        write(job, RESULTS)
    assert not job.finished and job.progress() == Progress(3, 1)


def test_an_output_that_cannot_be_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write"):
        Job(tmp_path / "file" / "out", MADE_WITH).begin(overwrite=False)
