"""Tests of the lines of hypotheses.jsonl."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.transcripts import SILENT, SPOKEN

from speechrnn.core.errors import UserError
from speechrnn.transcription.hypotheses import row, write_rows
from speechrnn.transcription.transcript import Alternative
from speechrnn.transcription.transcript_warnings import channels_cancel


def test_a_row_has_what_is_known_and_no_more() -> None:
    plain = row("b", SILENT)
    assert plain["hypothesis"] == "" and plain["words"] == []
    assert not plain.keys() & {"reference", "channel", "alternatives", "warnings"}
    full = row(
        "a",
        replace(
            SPOKEN, channel=1, alternatives=(Alternative("ja", -1.0, -1.0, parts={}),), warnings=(channels_cancel(1),)
        ),
        "da",
    )
    assert (full["reference"], full["channel"]) == ("da", 1)
    assert full["alternatives"] == [{"text": "ja", "score": -1.0, "acoustic": -1.0, "parts": {}}]
    assert full["warnings"][0]["kind"] == "channels_cancel"
    assert [word["word"] for word in full["words"]] == ["dž", "ja", "hello"]


def test_an_empty_reference_is_one() -> None:
    assert row("b", SILENT, "")["reference"] == ""


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    rows = [row("a", SPOKEN, "dž ja hello"), row("b", SILENT)]
    write_rows(tmp_path / "new" / "hypotheses.jsonl", rows)
    lines = (tmp_path / "new" / "hypotheses.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == rows and "dž" in lines[0]


def test_a_number_that_is_not_finite_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^a: "):
        write_rows(tmp_path / "rows.jsonl", [row("b", SILENT), row("a", replace(SPOKEN, confidence=math.nan))])
    assert not (tmp_path / "rows.jsonl").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="rows"):
        write_rows(tmp_path / "file" / "rows.jsonl", [])
