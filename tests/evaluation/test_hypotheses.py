"""Texts by utterance, in all the forms that people have them in."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from speechrnn.core.errors import UserError
from speechrnn.decoding.hypothesis import Word
from speechrnn.evaluation.hypotheses import HYPOTHESIS, REFERENCE, match, read_texts
from speechrnn.transcription.hypotheses import row, write_rows
from speechrnn.transcription.transcript import Segment, Transcript

EXPECTED = {"a/one": "GO HOME", "two": "NO"}


def lines(*rows: object) -> str:
    return "".join(json.dumps(entry) + "\n" for entry in rows)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("hypotheses.jsonl", lines({"id": "a/one", "reference": "GO HOME"}, {"id": "two", "reference": "NO"})),
        ("nemo.json", lines({"audio_filepath": "a/one.wav", "text": "GO HOME"}, {"audio": "two.flac", "text": "NO"})),
        ("plain.tsv", "a/one\tGO HOME\ntwo\tNO\n"),
        ("header.tsv", "path\tsentence\tage\na/one.mp3\tGO HOME\t7\ntwo.mp3\tNO\t\n"),
        ("header.csv", 'id,text\na/one,"GO HOME"\ntwo,NO\n'),
        ("kaldi.txt", "a/one GO HOME\ntwo  NO \n"),
        ("tab.text", "a/one\tGO HOME\ntwo\tNO\n"),
        ("an4.transcription", "GO HOME (a/one)\n\n<s> NO </s> (two)\n"),
    ],
)
def test_each_form_of_transcription_file(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert read_texts(tmp_path / name, REFERENCE, "references") == EXPECTED
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress(content.encode()))
    assert read_texts(packed, REFERENCE, "references") == EXPECTED


def test_brackets_at_the_end_of_some_lines_are_words(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("one GO HOME\ntwo NO (LAUGHS)\nthree\n")
    assert read_texts(tmp_path / "text", REFERENCE, "references") == {
        "one": "GO HOME",
        "two": "NO (LAUGHS)",
        "three": "",
    }


def test_an_empty_hypothesis_is_a_text(tmp_path: Path) -> None:
    (tmp_path / "h.jsonl").write_text(lines({"id": "one", "hypothesis": ""}))
    assert read_texts(tmp_path / "h.jsonl", HYPOTHESIS, "hypotheses") == {"one": ""}
    (tmp_path / "h.trn").write_text("(one)\n GO (two)\n")
    assert read_texts(tmp_path / "h.trn", HYPOTHESIS, "hypotheses") == {"one": "", "two": "GO"}


def test_both_sides_of_one_file_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "hypotheses.jsonl").write_text(lines({"id": 7, "reference": "GO", "hypothesis": "NO", "text": "?"}))
    assert read_texts(tmp_path, REFERENCE, "references") == {"7": "GO"}
    assert read_texts(tmp_path, HYPOTHESIS, "hypotheses") == {"7": "NO"}


def test_a_folder_of_text_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.txt").write_text("GO\nHOME\n")
    (tmp_path / "two.txt").write_text("NO")
    (tmp_path / "two.json").write_text("{}")
    (tmp_path / "silent.txt").write_text("\n")
    assert read_texts(tmp_path, REFERENCE, "references") == {**EXPECTED, "silent": ""}


def test_an4s_own_transcription(shared: Path) -> None:
    texts = read_texts(shared / "an4" / "etc" / "an4_test.transcription", REFERENCE, "references")
    assert len(texts) == 130 and sum(len(text.split()) for text in texts.values()) == 773
    assert texts["an406-fcaw-b"] == "RUBOUT G M E F THREE NINE"


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.jsonl", '{"id": "x", "text": "y"}\nno json\n', "line 2 is no JSON"),
        ("a.jsonl", "[1]\n", "line 1 must be a JSON object"),
        ("a.jsonl", lines({"id": "x", "txt": "y"}), "there is no 'reference' among the keys id, txt; add it, or give"),
        ("a.jsonl", lines({"name": "x", "text": "y"}), "there is no 'id' among the keys name, text"),
        (
            "a.jsonl",
            lines({"id": "x", "text": "y"}, {"id": "x", "text": "y"}),
            "line 2: the id x stands there a second",
        ),
        ("a.jsonl", "\n", "references=.*a.jsonl holds no texts"),
        ("a.jsonl", '{"id":"a","reference":["hello"]}', "line 1: the reference is .*hello.*give a text"),
        ("a.jsonl", '{"id":"a","reference":null}', "line 1: the value of 'reference' is null"),
        ("a.jsonl", "[" * 100_000, "line 1 is"),
        ("a.jsonl", '{"id":' + "9" * 5000 + "}", "line 1 is"),
        (
            "a.jsonl",
            '{"id":"x","reference":"y"}\n' + "\0" * 40 + "\n",
            "line 2 is damaged .zero bytes|line 2 .*zero bytes",
        ),
        ("a.tsv", "one\ttwo\tthree\n", "line 1: 3 columns"),
        ("a.txt", b"one caf\xe9\n", "not UTF-8"),
    ],
)
def test_a_damaged_file_names_the_line(tmp_path: Path, name: str, content: str | bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=sentence) as error:
        read_texts(tmp_path / name, REFERENCE, "references")
    assert name in str(error.value)


def test_what_is_not_there_says_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"hypotheses=.*nowhere does not exist; give a hypotheses\.jsonl"):
        read_texts(tmp_path / "nowhere", HYPOTHESIS, "hypotheses")
    with pytest.raises(UserError, match="holds no texts"):
        read_texts(tmp_path, HYPOTHESIS, "hypotheses")


def test_rows_are_read_back(tmp_path: Path) -> None:
    words = (Word("GO", 0.1, 0.3, confidence=0.9),)
    spoken = Transcript(
        "a.wav",
        1.5,
        "GO",
        confidence=0.9,
        segments=(Segment(0.1, 0.3, "GO", confidence=0.9, words=words),),
        alternatives=(),
        model="model",
        decoding="greedy",
    )
    silent = Transcript(
        "b.wav", 1.5, "", confidence=1.0, segments=(), alternatives=(), model="model", decoding="greedy"
    )
    write_rows(tmp_path / "hypotheses.jsonl", [row("a", spoken, "NO"), row("b", silent)])
    first, second = map(json.loads, (tmp_path / "hypotheses.jsonl").read_text().splitlines())
    assert first == {
        "id": "a",
        "audio": "a.wav",
        "duration": 1.5,
        "reference": "NO",
        "hypothesis": "GO",
        "confidence": 0.9,
        "words": [{"word": "GO", "start": 0.1, "end": 0.3, "confidence": 0.9}],
        "decoding": "greedy",
    }
    assert "reference" not in second and second["words"] == []
    assert read_texts(tmp_path, HYPOTHESIS, "hypotheses") == {"a": "GO", "b": ""}


def test_matching_by_the_whole_id_goes_before_its_last_part() -> None:
    matched = match({"x/a": "1", "y/a": "2", "z/b": "3", "c": "4"}, {"y/a": "two", "a": "?", "b": "three", "q/d": "?"})
    assert [(entry["id"], entry["reference"], entry["hypothesis"]) for entry in matched.rows] == [
        ("y/a", "2", "two"),
        ("z/b", "3", "three"),
    ]
    assert (matched.missing, matched.unknown) == (("x/a", "c"), ("a", "q/d"))
    assert matched.notes() == [
        "2 references have no hypothesis and are left out (first: x/a).",
        "2 hypotheses have no reference and are left out (first: a).",
    ]


def test_nothing_to_note_where_all_fits() -> None:
    assert match({"a": "1"}, {"deep/in/a": "1"}).notes() == []


def test_where_nothing_fits_both_kinds_of_ids_are_shown() -> None:
    with pytest.raises(UserError, match=r"ids such as a on the one side, b on the other"):
        match({"a": "1"}, {"b": "1"})
