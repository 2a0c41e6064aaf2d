"""Rows of hypotheses that come in any order, and the file in the order of the inputs."""

from __future__ import annotations

import json
from pathlib import Path

from speechrnn.jobs.rows import HypothesisRows


def row(id: str, *words: str) -> dict[str, object]:
    return {"id": id, "words": [*words]}


def ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text(encoding="utf-8").splitlines()]


def test_rows_are_written_in_the_order_of_the_ids_and_the_last_of_an_id_counts(tmp_path: Path) -> None:
    rows = HypothesisRows(tmp_path / "hypotheses.jsonl")
    rows.read()
    for each in (row("b", "TWO"), row("a"), row("b", "THREE"), row("c", "FOUR")):
        rows.add(each)
    assert "a" in rows and "d" not in rows
    assert rows.without_words("a") and not rows.without_words("b")
    rows.finish(["a", "b", "d"])
    assert ids(rows.path) == ["a", "b"] and not rows.partial.exists()
    assert "THREE" in rows.path.read_text(encoding="utf-8")


def test_the_next_process_finds_all_rows_but_torn_and_damaged_ones(tmp_path: Path) -> None:
    first = HypothesisRows(tmp_path / "hypotheses.jsonl")
    first.add(row("a", "ONE"))
    first.finish(["a"])
    first.add(row("b", "TWO"))
    with first.partial.open("ab") as file:
        file.write(b'{"id": "c", "words"\n{"id": "d", "wor')
    second = HypothesisRows(first.path)
    second.read()
    assert [id for id in "abcd" if id in second] == ["a", "b"]
    second.add(row("c", "SIX"))
    second.finish(["c", "b", "a"])
    assert ids(second.path) == ["c", "b", "a"]


def test_clear_removes_everything(tmp_path: Path) -> None:
    rows = HypothesisRows(tmp_path / "hypotheses.jsonl")
    rows.add(row("a"))
    rows.clear()
    assert "a" not in rows and not any(tmp_path.iterdir())
