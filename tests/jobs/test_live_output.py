"""Transcripts of streams: files are whole at any moment, and only known formats are written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from speechrnn.core.errors import UserError
from speechrnn.decoding.hypothesis import Word
from speechrnn.jobs.live_output import LiveTranscript
from speechrnn.transcription.events import Event
from speechrnn.transcription.writers import SubtitleOptions


def final(number: int) -> Event:
    word = Word("TUNA", 2.0 * number, 2.0 * number + 0.5, 0.9)
    return Event("final", number, "TUNA", (word,), 1, 2.0 * number + 1.5)


def test_json_is_whole_after_each_final(tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    transcript = LiveTranscript(path, "-", "tiny", "greedy", SubtitleOptions())
    for number in range(3):
        assert len(json.loads(path.read_text())["segments"]) == number
        transcript.add(final(number))
    assert json.loads(path.read_text())["text"] == "TUNA TUNA TUNA"


def test_captions_are_numbered_on(tmp_path: Path) -> None:
    path = tmp_path / "talk.srt"
    transcript = LiveTranscript(path, "-", "tiny", "greedy", SubtitleOptions())
    for number in range(3):
        transcript.add(final(number))
    assert [block.split("\n")[0] for block in path.read_text().strip().split("\n\n")] == ["1", "2", "3"]


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"talk\.ctm"):
        LiveTranscript(tmp_path / "talk.ctm", "-", "tiny", "greedy", SubtitleOptions())
