"""What the writers write, read back: by readers of others where the format is not ours."""

from __future__ import annotations

import csv
import html
import itertools
import json
from pathlib import Path

import pytest
import srt
import webvtt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from praatio import textgrid

from speechrnn.core.errors import UserError
from speechrnn.decoding.hypothesis import Word
from speechrnn.transcription.transcript import Segment, Transcript
from speechrnn.transcription.writers import FORMATS, SubtitleOptions, find_writers, write_transcript

WORDS = (Word("dž", 0.1, 0.42, 0.9), Word("ja", 0.5, 0.7, 0.8))
LATE = (Word("hello", 3671.0, 3671.25, 0.25),)
SPOKEN = Transcript(
    "in/a talk.wav",
    3672.5,
    "dž ja hello",
    0.65,
    (Segment(0.1, 0.7, "dž ja", 0.85, WORDS), Segment(3671.0, 3671.25, "hello", 0.25, LATE)),
    (),
    "model",
    "greedy",
)
SILENT = Transcript("b.wav", 1.5, "", 1.0, (), (), "model", "greedy")
AWKWARD = [
    *(
        "-->",
        "<b>",
        "&amp;",
        'say "so"',
        '"',
        '""',
        "שלום",
        "مرحبا",
        "e\u0301",
        "👩‍👩‍👧",
        "\u200fרם",
        "1",
        "0:0",
        "x" * 99,
    ),
    *(
        "new\nline",
        "ta\tb",
        "nul\0x",
        "\u2028sep",
        "\x85",
        "half\ud800",
        "{y:i}",
        "WEBVTT",
        "NOTE",
        "STYLE",
        "a\r\n\r\nb",
    ),
]


def one_segment(texts: list[str]) -> Transcript:
    """Words of half a second, a tenth apart."""
    words = tuple(Word(text, 0.1 + number * 0.6, 0.6 + number * 0.6, 0.5) for number, text in enumerate(texts))
    text = " ".join(texts)
    segments = (Segment(words[0].start, words[-1].end, text, 0.5, words),) if words else ()
    return Transcript("a.wav", 0.6 * len(words) + 1.0, text, 0.5, segments, (), "model", "greedy")


def written(name: str, transcript: Transcript, folder: Path, options: SubtitleOptions | None = None) -> Path:
    """The file that a format's writer makes of it."""
    (writer,) = find_writers([name], options)
    path = folder / f"a talk{writer.suffix}"
    write_transcript(writer, transcript, path)
    return path


def shown(path: Path) -> list[webvtt.Caption]:
    """The captions of a vtt file."""
    read = webvtt.read(str(path), strict=True)
    return [read[number] for number in range(len(read))]


def expected(text: str) -> str:
    """An awkward text as a format of one line an entry should give it back."""
    return " ".join(text.replace("\0", "").replace("\ud800", "\ufffd").split())


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
    strange = Transcript("caf\udce9.wav", 1.0, "\0", 1.0, (), (), "model", "greedy")
    read = json.loads(written("json", strange, tmp_path).read_bytes())
    assert (read["audio"], read["text"]) == ("caf\udce9.wav", "\0")


def test_srt(tmp_path: Path) -> None:
    text = written("srt", SPOKEN, tmp_path).read_text(encoding="utf-8")
    assert text == "1\n00:00:00,100 --> 00:00:01,100\ndž ja\n\n2\n01:01:11,000 --> 01:01:12,000\nhello\n\n"
    first, second = srt.parse(text)
    assert (first.index, first.content, second.start.total_seconds()) == (1, "dž ja", 3671.0)
    assert list(srt.parse(written("srt", SILENT, tmp_path).read_text())) == []


def test_vtt(tmp_path: Path) -> None:
    path = written("vtt", SPOKEN, tmp_path)
    assert path.read_text(encoding="utf-8") == (
        "WEBVTT\n\n00:00:00.100 --> 00:00:01.100\ndž ja\n\n01:01:11.000 --> 01:01:12.000\nhello\n"
    )
    assert [caption.text for caption in shown(path)] == ["dž ja", "hello"]
    empty = written("vtt", SILENT, tmp_path)
    assert empty.read_text() == "WEBVTT\n" and shown(empty) == []


def test_subtitles_are_laid_out_as_the_options_say(tmp_path: Path) -> None:
    options = SubtitleOptions(line_length=2, lines=1)
    assert [one.content for one in srt.parse(written("srt", SPOKEN, tmp_path, options).read_text())] == [
        *("dž", "ja", "hello")
    ]
    assert [one.text for one in shown(written("vtt", SPOKEN, tmp_path, options))] == ["dž", "ja", "hello"]


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


def test_textgrid(tmp_path: Path) -> None:
    grid = textgrid.openTextgrid(str(written("textgrid", SPOKEN, tmp_path)), includeEmptyIntervals=True)
    assert grid.tierNames == ("words", "segments")
    assert [tuple(entry) for entry in grid.getTier("words").entries] == [
        *((0.0, 0.1, ""), (0.1, 0.42, "dž"), (0.42, 0.5, ""), (0.5, 0.7, "ja"), (0.7, 3671.0, "")),
        *((3671.0, 3671.25, "hello"), (3671.25, 3672.5, "")),
    ]
    assert [entry.label for entry in grid.getTier("segments").entries] == ["", "dž ja", "", "hello", ""]
    empty = textgrid.openTextgrid(str(written("textgrid", SILENT, tmp_path)), includeEmptyIntervals=True)
    for tier in ("words", "segments"):
        assert [tuple(entry) for entry in empty.getTier(tier).entries] == [(0.0, 1.5, "")]


def test_textgrid_is_praats_own_long_format(tmp_path: Path) -> None:
    quoted = Transcript(
        "a.wav", 1.0, '"', 1.0, (Segment(0.0, 1.0, '"', 1.0, (Word('"', 0, 1, 1),)),), (), "m", "greedy"
    )
    lines = written("textgrid", quoted, tmp_path).read_text().splitlines()
    assert lines[:8] == [
        *('File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0 ", "xmax = 1.0 "),
        *("tiers? <exists> ", "size = 2 ", "item []: "),
    ]
    assert lines[-1] == '            text = """" '
    assert lines[14:] == [
        *lines[14:18],
        "    item [2]:",
        '        class = "IntervalTier" ',
        '        name = "segments" ',
        *lines[11:18],
    ]


words_of_any_kind = st.lists(st.one_of(st.sampled_from(AWKWARD), st.from_regex(r"[a-z']{1,14}", fullmatch=True)))
on_files = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@on_files
@given(words_of_any_kind)
def test_subtitles_give_back_every_word(tmp_path: Path, texts: list[str]) -> None:
    transcript = one_segment(texts)
    right = [part for text in texts for part in expected(text).split()]
    read = list(srt.parse(written("srt", transcript, tmp_path).read_text(encoding="utf-8")))
    assert [part for one in read for part in one.content.split()] == right
    assert all(one.start < one.end for one in read)
    assert all(one.end <= following.start for one, following in itertools.pairwise(read))
    captions = shown(written("vtt", transcript, tmp_path))
    assert [part for one in captions for part in html.unescape(one.text).split()] == right
    assert [(one.start_time.in_milliseconds(), one.end_time.in_milliseconds()) for one in captions] == [
        (round(one.start.total_seconds() * 1000), round(one.end.total_seconds() * 1000)) for one in read
    ]


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


@on_files
@given(words_of_any_kind)
def test_textgrids_tile_the_recording_and_give_back_every_word(tmp_path: Path, texts: list[str]) -> None:
    transcript = one_segment(texts)
    path = written("textgrid", transcript, tmp_path)
    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=True)
    labels = [entry.label.strip() for entry in grid.getTier("words").entries]
    assert [label for label in labels if label] == [expected(text) for text in texts if expected(text)]
    for tier in grid.tiers:
        edges = [(entry.start, entry.end) for entry in tier.entries]
        assert edges[0][0] == 0.0 and edges[-1][1] == pytest.approx(transcript.duration)
        assert all(start < end for start, end in edges)
        assert all(one[1] == following[0] for one, following in itertools.pairwise(edges))


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
