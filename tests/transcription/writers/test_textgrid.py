"""Praat's TextGrid."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from helpers.transcripts import SILENT, SPOKEN, expected, on_files, one_segment, words_of_any_kind, written
from hypothesis import given
from praatio import textgrid

from speechrnn.decoding.hypothesis import Word
from speechrnn.transcription.transcript import Segment, Transcript


def test_textgrid(tmp_path: Path) -> None:
    grid = textgrid.openTextgrid(str(written("textgrid", SPOKEN, tmp_path)), includeEmptyIntervals=True)
    assert grid.tierNames == ("words", "segments")
    assert [tuple(entry) for entry in grid.getTier("words").entries] == [
        (0.0, 0.1, ""),
        (0.1, 0.42, "dž"),
        (0.42, 0.5, ""),
        (0.5, 0.7, "ja"),
        (0.7, 3671.0, ""),
        (3671.0, 3671.25, "hello"),
        (3671.25, 3672.5, ""),
    ]
    assert [entry.label for entry in grid.getTier("segments").entries] == ["", "dž ja", "", "hello", ""]
    empty = textgrid.openTextgrid(str(written("textgrid", SILENT, tmp_path)), includeEmptyIntervals=True)
    for tier in ("words", "segments"):
        assert [tuple(entry) for entry in empty.getTier(tier).entries] == [(0.0, 1.5, "")]


def test_textgrid_is_praats_own_long_format(tmp_path: Path) -> None:
    quoted = Transcript(
        "a.wav",
        1.0,
        '"',
        confidence=1.0,
        segments=(Segment(0.0, 1.0, '"', confidence=1.0, words=(Word('"', 0, 1, confidence=1),)),),
        alternatives=(),
        model="m",
        decoding="greedy",
    )
    lines = written("textgrid", quoted, tmp_path).read_text().splitlines()
    assert lines[:8] == [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0 ",
        "xmax = 1.0 ",
        "tiers? <exists> ",
        "size = 2 ",
        "item []: ",
    ]
    assert lines[-1] == '            text = """" '
    assert lines[14:] == [
        *lines[14:18],
        "    item [2]:",
        '        class = "IntervalTier" ',
        '        name = "segments" ',
        *lines[11:18],
    ]


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
        assert all(edge[1] == following[0] for edge, following in itertools.pairwise(edges))
