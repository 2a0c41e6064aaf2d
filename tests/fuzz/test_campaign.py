"""A short campaign in this process, the watching of child processes, and the findings that were mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.campaign import kind, run_target
from fuzz.targets import NAMES, find_target
from speechrnn.core.errors import UserError

SEED = 2  # with which the campaign found what is mended in these commits
FOUND = {
    "prepared_text": (2,),  # a null for a text: AttributeError
    "tokens": (7, 98),  # documents outside the text, a header without a count: KeyError
    "journal": (227, 243),  # NUL in a name: ValueError; a time of 400 digits: OverflowError
}


def read(name: str, numbers: range | tuple[int, ...], folder: Path) -> None:
    """Let a target read inputs; whatever is no result and no sentence is raised."""
    target = find_target(name)
    seeds = target.seeds(folder)
    for path in folder.iterdir():
        if path.is_file():
            path.unlink()
    target.prepare(folder)
    for number in numbers:
        file, content = target.damaged(seeds, SEED, number)
        (folder / file).write_bytes(content)
        try:
            target.run(folder / file)
        except UserError as error:
            assert "\n" not in str(error)
        (folder / file).unlink(missing_ok=True)
        target.prepare(folder)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("kenlm", "overrides")])
def test_damaged_files_give_a_result_or_a_sentence(name: str, tmp_path: Path) -> None:
    read(name, range(1000, 1010), tmp_path)


@pytest.mark.parametrize("name", FOUND)
def test_what_a_campaign_found_stays_mended(name: str, tmp_path: Path) -> None:
    read(name, FOUND[name], tmp_path)


@pytest.mark.integration
def test_child_processes_read_what_they_are_given() -> None:
    result = run_target("decoding", SEED, 5)
    assert (result.inputs, result.findings) == (5, {})


def test_findings_are_counted_by_kind() -> None:
    assert kind("ValueError in a.py:7: no 'x'") == kind("ValueError in a.py:7: no 'y'") == "ValueError in a.py:7"
