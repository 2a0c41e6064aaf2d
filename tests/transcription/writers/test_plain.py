"""txt and json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.transcripts import SILENT, SPOKEN, one_segment, written

from speechrnn.transcription.transcript import Transcript
from speechrnn.transcription.writers import find_writers, write_transcript


def test_txt_is_the_words_on_one_line(tmp_path: Path) -> None:
    (writer,) = find_writers(["txt"])
    write_transcript(writer, SPOKEN, tmp_path / "deep" / "a.txt")
    assert (tmp_path / "deep" / "a.txt").read_bytes() == "dž ja hello\n".encode()
    assert written("txt", SILENT, tmp_path).read_bytes() == b"\n"
    assert written("txt", one_segment(["a\nb", "c"]), tmp_path).read_bytes() == b"a b c\n"


@pytest.mark.parametrize("transcript", [SPOKEN, SILENT])
def test_json_is_the_whole_transcript(transcript: Transcript, tmp_path: Path) -> None:
    text = written("json", transcript, tmp_path).read_text(encoding="utf-8")
    read = json.loads(text)
    assert read == json.loads(json.dumps(transcript.to_json()))
    keys = ["audio", "duration", "text", "confidence", "segments", "alternatives", "model", "decoding"]
    assert [key for key in read if key in keys] == keys
    assert transcript.text in text  # as people write it, not as \u017e


def test_json_survives_a_file_name_that_is_no_unicode(tmp_path: Path) -> None:
    strange = Transcript(
        "caf\udce9.wav", 1.0, "\0", confidence=1.0, segments=(), alternatives=(), model="model", decoding="greedy"
    )
    read = json.loads(written("json", strange, tmp_path).read_bytes())
    assert (read["audio"], read["text"]) == ("caf\udce9.wav", "\0")
