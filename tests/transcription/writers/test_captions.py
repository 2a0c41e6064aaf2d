"""srt and vtt."""

from __future__ import annotations

import html
import itertools
from pathlib import Path

import srt
import webvtt
from helpers.transcripts import SILENT, SPOKEN, expected, on_files, one_segment, words_of_any_kind, written
from hypothesis import given

from speechrnn.transcription.writers import SubtitleOptions


def shown(path: Path) -> list[webvtt.Caption]:
    """The captions of a vtt file."""
    read = webvtt.read(str(path), strict=True)
    return [read[number] for number in range(len(read))]


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
    assert [
        shown_caption.content
        for shown_caption in srt.parse(written("srt", SPOKEN, tmp_path, options=options).read_text())
    ] == ["dž", "ja", "hello"]
    assert [shown_caption.text for shown_caption in shown(written("vtt", SPOKEN, tmp_path, options=options))] == [
        "dž",
        "ja",
        "hello",
    ]


@on_files
@given(words_of_any_kind)
def test_subtitles_give_back_every_word(tmp_path: Path, texts: list[str]) -> None:
    transcript = one_segment(texts)
    right = [part for text in texts for part in expected(text).split()]
    read = list(srt.parse(written("srt", transcript, tmp_path).read_text(encoding="utf-8")))
    assert [part for shown_caption in read for part in shown_caption.content.split()] == right
    assert all(shown_caption.start < shown_caption.end for shown_caption in read)
    assert all(shown_caption.end <= following.start for shown_caption, following in itertools.pairwise(read))
    captions = shown(written("vtt", transcript, tmp_path))
    assert [part for shown_caption in captions for part in html.unescape(shown_caption.text).split()] == right
    assert [
        (shown_caption.start_time.in_milliseconds(), shown_caption.end_time.in_milliseconds())
        for shown_caption in captions
    ] == [
        (round(shown_caption.start.total_seconds() * 1000), round(shown_caption.end.total_seconds() * 1000))
        for shown_caption in read
    ]
