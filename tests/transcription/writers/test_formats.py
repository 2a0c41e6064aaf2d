"""Tests of written files, read back: by other programs where the format is not ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.transcripts import AWKWARD, SPOKEN, one_segment, written

from speechrnn.core.errors import UserError
from speechrnn.transcription.writers import FORMATS, find_writers


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_a_suffix_and_a_file_is_whole_or_absent(name: str, tmp_path: Path) -> None:
    assert written(name, one_segment(AWKWARD), tmp_path).suffix == f".{name}"
    assert [path.name for path in tmp_path.iterdir()] == [f"a talk.{name}"]
    (tmp_path / "out").write_text("a file where the folder should be")
    with pytest.raises(UserError, match="Cannot write"):
        written(name, SPOKEN, tmp_path / "out")


def test_a_format_asked_for_twice_is_written_once() -> None:
    assert [writer.suffix for writer in find_writers(["json", "txt", "json"])] == [".json", ".txt"]


@pytest.mark.parametrize(
    ("formats", "sentence"),
    [
        (["txt", "jsn"], "No format jsn; did you mean json?"),
        (["docx9"], "No format docx9; the formats are txt, json, srt, vtt, tsv, ctm, textgrid."),
        ([], "formats=[] would write no transcripts; choose among txt, json, srt, vtt, tsv, ctm, textgrid."),
    ],
)
def test_a_wrong_format_is_one_sentence(formats: list[str], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        find_writers(formats)
    assert str(error.value) == sentence
