"""A short campaign in this process, the watching of child processes, and the findings that were mended."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from fuzz.campaign import kind, run_target
from fuzz.targets import NAMES, find_target
from speechrnn.core.errors import LONGEST_MESSAGE, UserError

SEED = 2
FOUND = (  # target, seed and number of inputs that were no result and no sentence
    ("prepared_text", 2, 2),  # a null for a text: AttributeError
    ("tokens", 2, 7),  # documents outside the text
    ("tokens", 2, 98),  # a header without a count: KeyError
    ("journal", 2, 227),  # NUL in a name: ValueError
    ("journal", 2, 243),  # a time of 400 digits: OverflowError
    ("corpus", 641, 148),  # an absolute path for an id: ValueError
    ("prepared_text", 641, 3598),  # half of a surrogate pair, which cannot be written
    ("scoring", 641, 6996),  # a path without a name: ValueError
    ("lexicon", 641, 4837),  # the word "(2)", of which nothing is left: ValueError
    ("sentencepiece", 641, 2153),  # the surface of <unk> is no UTF-8: UnicodeDecodeError
    ("rows", 641, 9),  # a row that json takes for UTF-16, and that was kept
    ("results", 641, 1575),  # the same
    ("mkv", 691, 1968),  # 24 channels, of which PyAV reads 8: the process ended
    ("acoustic", 691, 1920),  # finite weights of 1e37: log-probabilities of NaN
    ("common_voice", 641, 6549),  # escapes that made a message ten times as long
)


def read(name: str, seed: int, numbers: Iterable[int], folder: Path) -> None:
    """Let a target read inputs; whatever is no result and no sentence is raised."""
    target = find_target(name)
    seeds = target.seeds(folder)
    for path in folder.iterdir():
        if path.is_file():
            path.unlink()
    target.prepare(folder)
    for number in numbers:
        file, content = target.damaged(seeds, seed, number)
        (folder / file).write_bytes(content)
        try:
            target.run(folder / file)
        except UserError as error:
            assert "\n" not in str(error) and len(str(error)) < LONGEST_MESSAGE + 10
        (folder / file).unlink(missing_ok=True)
        target.prepare(folder)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("kenlm", "kenlm_fields", "overrides")])
def test_damaged_files_give_a_result_or_a_sentence(name: str, tmp_path: Path) -> None:
    read(name, SEED, range(1000, 1010), folder=tmp_path)


@pytest.mark.parametrize(("name", "seed", "number"), FOUND)
def test_what_a_campaign_found_stays_mended(name: str, seed: int, number: int, tmp_path: Path) -> None:
    read(name, seed, [number], folder=tmp_path)


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
