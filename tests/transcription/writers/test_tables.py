"""tsv and ctm, in the columns of Whisper, sclite and Kaldi."""

from __future__ import annotations

import csv
from pathlib import Path

from helpers.transcripts import SILENT, SPOKEN, expected, on_files, one_segment, words_of_any_kind, written
from hypothesis import given


def test_tsv_is_whispers(tmp_path: Path) -> None:
    path = written("tsv", SPOKEN, tmp_path)
    assert path.read_bytes() == "start\tend\ttext\n100\t700\tdž ja\n3671000\t3671250\thello\n".encode()
    assert written("tsv", SILENT, tmp_path).read_bytes() == b"start\tend\ttext\n"


def test_ctm_is_what_sclite_and_kaldi_read(tmp_path: Path) -> None:
    lines = [line.split(" ") for line in written("ctm", SPOKEN, tmp_path).read_text(encoding="utf-8").splitlines()]
    assert lines == [
        ["a_talk", "1", "0.100", "0.320", "dž", "0.9000"],
        ["a_talk", "1", "0.500", "0.200", "ja", "0.8000"],
        ["a_talk", "1", "3671.000", "0.250", "hello", "0.2500"],
    ]
    assert written("ctm", SILENT, tmp_path).read_bytes() == b""


@on_files
@given(words_of_any_kind)
def test_tables_give_back_every_word(tmp_path: Path, texts: list[str]) -> None:
    transcript = one_segment(texts)
    with written("tsv", transcript, tmp_path).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert [row["text"].split() for row in rows] == [[part for text in texts for part in expected(text).split()]][
        : len(transcript.segments)
    ]
    with written("ctm", transcript, tmp_path).open(encoding="utf-8", newline="\n") as file:
        lines = [line.split() for line in file]
    assert [line[4] for line in lines] == ["_".join(expected(text).split()) for text in texts if expected(text)]
    assert all(len(line) == 6 and float(line[3]) > 0 for line in lines)
