"""What the writers write, read back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from speechrnn.decoding.hypothesis import Word
from speechrnn.errors import UserError
from speechrnn.transcribe import Segment, Transcript
from speechrnn.writers import WRITERS, find_writers

WORDS = (Word("dž", 0.1, 0.42, 0.9), Word("ja", 0.5, 0.7, 0.8))
SPOKEN = Transcript("a.wav", 1.5, "dž ja", 0.85, (Segment(0.1, 0.7, "dž ja", 0.85, WORDS),), (), "model", "greedy")
SILENT = Transcript("b.wav", 1.5, "", 1.0, (), (), "model", "greedy")


def test_txt_is_the_words_on_one_line(tmp_path: Path) -> None:
    WRITERS["txt"].write(SPOKEN, tmp_path / "deep" / "a.txt")
    assert (tmp_path / "deep" / "a.txt").read_bytes() == "dž ja\n".encode()
    WRITERS["txt"].write(SILENT, tmp_path / "b.txt")
    assert (tmp_path / "b.txt").read_bytes() == b"\n"


@pytest.mark.parametrize("transcript", [SPOKEN, SILENT])
def test_json_is_the_whole_transcript(transcript: Transcript, tmp_path: Path) -> None:
    WRITERS["json"].write(transcript, tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    read = json.loads(text)
    assert read == json.loads(json.dumps(transcript.to_json()))
    assert list(read) == ["audio", "duration", "text", "confidence", "segments", "alternatives", "model", "decoding"]
    assert transcript.text in text  # as people write it, not as \u017e


def test_a_format_is_a_suffix_and_stands_once() -> None:
    assert [writer.suffix for writer in find_writers(["json", "txt", "json"])] == [".json", ".txt"]
    assert all(writer.suffix == f".{name}" for name, writer in WRITERS.items())


@pytest.mark.parametrize(
    ("formats", "sentence"),
    [
        (["txt", "jsn"], "No format jsn; did you mean json?"),
        (["docx9"], "No format docx9; the formats are txt, json."),
        ([], "formats=[] would write no transcripts; choose among txt, json."),
    ],
)
def test_a_wrong_format_is_one_sentence(formats: list[str], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        find_writers(formats)
    assert str(error.value) == sentence


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    with pytest.raises(UserError, match="Cannot write"):
        WRITERS["txt"].write(SPOKEN, tmp_path / "out" / "a.txt")
