"""Tests of the progress of a job, on a terminal and elsewhere."""

from __future__ import annotations

import re
import sys

import pytest

from speechrnn.core.progress import Bar, in_words, speed_in_words


def test_without_a_terminal_there_is_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar("files", 3, 1) as bar:
        bar.step("much")
        bar.note("stopping")
        bar.step("more", failed=True)
    assert (bar.done, bar.failed) == (3, 1)
    assert capsys.readouterr() == ("", "stopping\n")


def test_the_time_left_is_in_words(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import rich.progress

    monkeypatch.setattr(rich.progress.Task, "time_remaining", property(lambda task: 10_440.0))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "150")
    with Bar("files", 100) as bar:
        bar.step("5.0 s of audio")
    assert "2 h 54 min left" in capsys.readouterr().err


def test_a_bar_says_all(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "150")
    with Bar("files", 1200, 1000, work=5e6) as bar:
        bar.step("5.0 s of audio", work=1e6)
        bar.step("7.0 s of audio", failed=True, work=3e6)
        bar.note("stopping")
        bar.step("9.0 s of audio", work=1e6)
    out, err = capsys.readouterr()
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", err)
    assert out == "" and "1,003/1,200 files" in shown and "9.0 s of audio, 1 failed, stopping" in shown


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (3.21, "3.2 s"),
        (59.9, "59.9 s"),
        (357.2, "5 min 57 s"),
        (7380, "2 h 03 min"),
        (59.97, "1 min 00 s"),
        (3599.6, "1 h 00 min"),
        (10499, "2 h 55 min"),
    ],
)
def test_times_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


@pytest.mark.parametrize(
    ("audio", "elapsed", "number"), [(2180.0, 10.0, "218"), (9.5, 9.0, "1.1"), (3.5, 10.0, "0.35")]
)
def test_speeds_below_real_time_are_not_zero(audio: float, elapsed: float, number: str) -> None:
    assert speed_in_words(audio, elapsed) == f"{number} times real time"
