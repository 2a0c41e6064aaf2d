"""Tests of the folder of prepared data: it counts only with a summary of the same fingerprint."""

from __future__ import annotations

from pathlib import Path

import pytest

from speechrnn.core.errors import UserError
from speechrnn.data.prepared import SUMMARY, clear, read_summary, write_summary


def test_a_summary_is_read_again(tmp_path: Path) -> None:
    write_summary(tmp_path / "new", {"text": "Übung"}, "1")
    assert read_summary(tmp_path / "new", "1") == {"text": "Übung", "fingerprint": "1"}
    assert (tmp_path / "new" / SUMMARY).read_text(encoding="utf-8").endswith("}\n")


def test_a_summary_of_other_data_does_not_count(tmp_path: Path) -> None:
    write_summary(tmp_path, {}, "1")
    assert read_summary(tmp_path, "2") is None
    assert read_summary(tmp_path / "missing", "1") is None


@pytest.mark.parametrize("content", ["", "[1]", "null", '{"fingerprint": ', "\udcff", 50_000 * "[", '{"other": 1}'])
def test_a_damaged_summary_does_not_count(tmp_path: Path, content: str) -> None:
    (tmp_path / SUMMARY).write_bytes(content.encode(errors="surrogateescape"))
    assert read_summary(tmp_path, "1") is None


def test_the_summary_is_removed_before_the_rest(tmp_path: Path) -> None:
    write_summary(tmp_path, {}, "1")
    (tmp_path / "b").mkdir()  # cannot be unlinked
    with pytest.raises(UserError, match="choose another output folder"):
        clear(tmp_path, ["a", "b"])
    assert read_summary(tmp_path, "1") is None
    clear(tmp_path / "missing", ["a"])  # nothing to remove
