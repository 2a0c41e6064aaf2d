"""A short campaign in this process, the watching of child processes, and the findings that were mended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from fuzz.campaign import FINDINGS, keep, kind, run_target
from fuzz.targets import NAMES, find_target
from speechrnn.core.errors import LONGEST_MESSAGE, UserError

SEED = 2
FOUND = sorted(path for path in FINDINGS.glob("*/*/*") if path.is_file())


def damaged(name: str, seed: int, numbers: Iterable[int], folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield inputs of a target, each as name and content."""
    seeds = find_target(name).seeds(folder)
    for path in folder.iterdir():
        if path.is_file():
            path.unlink()
    for number in numbers:
        yield find_target(name).damaged(seeds, seed, number)


def read(name: str, inputs: Iterable[tuple[str, bytes]], folder: Path) -> None:
    """Let a target read inputs; whatever is no result and no sentence is raised."""
    target = find_target(name)
    target.prepare(folder)
    for file, content in inputs:
        (folder / file).write_bytes(content)
        try:
            target.run(folder / file)
        except UserError as error:
            assert "\n" not in str(error) and len(str(error)) < LONGEST_MESSAGE + 10
        (folder / file).unlink(missing_ok=True)
        target.prepare(folder)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("kenlm", "kenlm_fields", "overrides")])
def test_damaged_files_give_a_result_or_a_sentence(name: str, tmp_path: Path) -> None:
    read(name, list(damaged(name, SEED, range(1000, 1010), folder=tmp_path)), folder=tmp_path)


@pytest.mark.parametrize("path", FOUND, ids=lambda path: "/".join(path.parts[-3:-1]))
def test_what_a_campaign_found_stays_mended(path: Path, tmp_path: Path) -> None:
    read(path.parts[-3], [(path.name, path.read_bytes())], folder=tmp_path)


def test_there_are_findings_and_each_is_described() -> None:
    described = (FINDINGS / "README.md").read_text(encoding="utf-8")
    assert len(FOUND) >= 15
    assert [path for path in FOUND if "/".join(path.parts[-3:-1]) not in described] == []


def test_a_finding_is_kept_as_its_file(tmp_path: Path) -> None:
    path = keep("decoding", SEED, 3, folder=tmp_path / "findings")
    assert path.relative_to(tmp_path / "findings").parts[:2] == ("decoding", f"{SEED}-3")
    assert [(path.name, path.read_bytes())] == list(damaged("decoding", SEED, [3], folder=tmp_path))


@pytest.mark.integration
def test_child_processes_read_what_they_are_given() -> None:
    result = run_target("decoding", SEED, 5)
    assert (result.inputs, result.findings) == (5, {})


def test_findings_are_counted_by_kind() -> None:
    assert kind("ValueError in a.py:7: no 'x'") == kind("ValueError in a.py:7: no 'y'") == "ValueError in a.py:7"


@pytest.mark.parametrize("name", ["kenlm_fields", "kaldi_text", "kaldi_list", "checkpoint_parts"])
def test_mutators_that_know_a_format_make_other_files_and_the_same_each_time(name: str, tmp_path: Path) -> None:
    target = find_target(name)
    seeds = target.seeds(tmp_path)
    made = [target.damaged(seeds, SEED, number) for number in range(40)]
    assert made == [target.damaged(seeds, SEED, number) for number in range(40)]
    assert len({content for file, content in made if content != seeds[file]}) > 20
