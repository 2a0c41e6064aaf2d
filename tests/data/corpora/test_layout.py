"""Files of a corpus: found through links, each once."""

from __future__ import annotations

from pathlib import Path

import pytest

from speechrnn.data.corpora.layout import files_below


@pytest.mark.parametrize("loops", [1, 2])
def test_a_link_to_a_folder_that_holds_it_is_not_followed(tmp_path: Path, loops: int) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "one.txt").touch()
    for number in range(loops):
        (inner / f"loop{number}").symlink_to(tmp_path if number else tmp_path / "a")
    assert files_below(tmp_path) == [inner / "one.txt"]


def test_other_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "one.txt").touch()
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "near").symlink_to(tmp_path / "far")
    assert files_below(tmp_path / "corpus") == [tmp_path / "corpus" / "near" / "one.txt"]


def test_a_link_to_a_folder_above_the_one_that_is_searched_is_not_followed(tmp_path: Path) -> None:
    """Through train/all -> .. the utterances of dev were listed in train."""
    for part in ("train", "dev"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "one.txt").touch()
    (tmp_path / "train" / "all").symlink_to(tmp_path)
    assert files_below(tmp_path / "train") == [tmp_path / "train" / "one.txt"]
