"""Pages from templates: everything is escaped, every variable is given."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from speechrnn.audio import load_audio, save_audio
from speechrnn.reports.html import PLAYER_SECONDS, cell, duration, embed_recording, limited, render, time_shares


def test_values_are_escaped_unless_they_are_drawings(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("{{ text }} {{ drawing }} {{ 0.0563 | percent }}")
    page = render("page.html", [tmp_path], text="<b>", drawing=Markup("<svg/>"))
    assert page == "&lt;b&gt; <svg/> 5.63\u00a0%"


def test_a_variable_that_is_not_given_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("{{ text }}")
    with pytest.raises(UndefinedError, match="text"):
        render("page.html", [tmp_path])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.9, "59.9 s"), (59.96, "1.0 min"), (3599, "1 h 0 min"), (7380, "2 h 3 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds).replace("\u00a0", " ") == text


def test_tables() -> None:
    assert [cell(value) for value in (1234567, 0.5, "a")] == ["1,234,567", 0.5, "a"]
    table = limited([[1], [2], [3]], 2)
    assert (table.rows, table.left_out) == ([[1], [2]], 1)
    assert [(part.name, part.share) for part in time_shares({"train": 3.0, "x": 1.0}, {"train": "Training"})] == [
        ("Training", 0.75),
        ("x", 0.25),
    ]
    assert time_shares({"train": 0.0}, {})[0].share == 0.0


@pytest.mark.parametrize(("seconds", "played"), [(2.0, 2.0), (PLAYER_SECONDS + 5, PLAYER_SECONDS)])
def test_a_recording_is_played_up_to_a_limit(tmp_path: Path, seconds: float, played: float) -> None:
    samples = 0.3 * np.sin(np.arange(round(seconds * 16000)) * 0.1).astype(np.float32)
    save_audio(tmp_path / "talk.flac", samples, 16000)
    recording = embed_recording(tmp_path / "talk.flac", 0.0, 0.0)
    head, _, data = recording.source.partition(",")
    assert head == "data:audio/mpeg;base64" and bool(recording.remark) == (seconds > played)
    (tmp_path / "talk.mp3").write_bytes(base64.b64decode(data))
    sound, rate = load_audio(tmp_path / "talk.mp3")
    assert abs(len(sound) / rate - played) < 0.2


def test_a_recording_that_is_gone_leaves_a_remark(tmp_path: Path) -> None:
    recording = embed_recording(tmp_path / "gone.wav", 0.0, 1.0)
    assert recording.source == "" and "gone.wav" in recording.remark
