"""Displays of events, and transcripts of streams: files are whole at any moment, and only known formats are written."""

from __future__ import annotations

import io
import json
import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.terminal import Screen
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.core.errors import UserError
from speechrnn.decoding.hypothesis import Word
from speechrnn.jobs.live_output import JsonLinesDisplay, LiveTranscript, TerminalDisplay, TextDisplay, messages_above
from speechrnn.transcription.events import Event
from speechrnn.transcription.transcript_warnings import channels_cancel
from speechrnn.transcription.writers import SubtitleOptions


def final(number: int) -> Event:
    word = Word("TUNA", 2.0 * number, 2.0 * number + 0.5, confidence=0.9)
    return Event("final", number, "TUNA", words=(word,), stable_words=1, time=2.0 * number + 1.5)


def test_json_is_whole_after_each_final(tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    transcript = LiveTranscript(path, "-", "tiny", decoding="greedy", subtitles=SubtitleOptions())
    for number in range(3):
        assert len(json.loads(path.read_text())["segments"]) == number
        transcript.add(final(number))
    assert json.loads(path.read_text())["text"] == "TUNA TUNA TUNA"


def test_captions_are_numbered_on(tmp_path: Path) -> None:
    path = tmp_path / "talk.srt"
    transcript = LiveTranscript(path, "-", "tiny", decoding="greedy", subtitles=SubtitleOptions())
    for number in range(3):
        transcript.add(final(number))
    assert [block.split("\n")[0] for block in path.read_text().strip().split("\n\n")] == ["1", "2", "3"]


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"talk\.ctm"):
        LiveTranscript(tmp_path / "talk.ctm", "-", "tiny", decoding="greedy", subtitles=SubtitleOptions())


class Terminal(io.StringIO):
    """A stream to a screen."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.screen = Screen(columns)

    def write(self, text: str) -> int:
        self.screen.write(text)
        return len(text)


def event(text: str, kind: str = "partial", stable: int = 0) -> Event:
    words = tuple(Word(word, number, number + 0.5, confidence=0.9) for number, word in enumerate(text.split()))
    return Event(kind, 0, text, words=words, stable_words=stable, time=9.0)  # type: ignore[arg-type]


def make_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> tuple[Terminal, TerminalDisplay]:
    terminal = Terminal(columns)
    display = TerminalDisplay(terminal)
    monkeypatch.setattr(display, "_columns", lambda: terminal.screen.columns)
    return terminal, display


def test_a_warning_after_the_last_words_stands_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    transcript = LiveTranscript(path, "-", "tiny", decoding="greedy", subtitles=SubtitleOptions())
    transcript.add(event("TWO REDS", "final"))
    transcript.add(replace(event("", "final"), warnings=(channels_cancel(0),), time=12.0))
    content = json.loads(path.read_text())
    assert [warning["kind"] for warning in content["warnings"]] == [channels_cancel(0).kind]
    assert (content["text"], content["duration"], len(content["segments"])) == ("TWO REDS", 12.0, 1)


def test_the_partial_line_is_rewritten_and_finals_scroll(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, display = make_terminal(20, monkeypatch)
    for text, stable in (("TWO", 0), ("TWO RED", 1), ("TWO RED HERRINGS", 2), ("TO", 0)):
        display.show(event(text, stable=stable))
        assert terminal.screen.lines == [text]
    display.show(event("TWO REDS", "final"))
    display.show(event("ONE"))
    assert terminal.screen.lines == ["TWO REDS", "ONE"]
    display.show(event("", "final"))
    assert terminal.screen.lines == ["TWO REDS", ""]


LETTERS = st.text("AB 魚鮪\u0301é", min_size=1, max_size=60)


@given(texts=st.lists(st.tuples(LETTERS, st.integers(0, 9)), min_size=1, max_size=6), columns=st.integers(1, 30))
def test_a_partial_line_never_wraps(texts: list[tuple[str, int]], columns: int) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        terminal, display = make_terminal(columns, monkeypatch)
        for text, stable in texts:
            display.show(event(" ".join(text.split()), stable=stable))
            assert len(terminal.screen.lines) == 1


def test_of_a_long_line_its_end_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, display = make_terminal(12, monkeypatch)
    display.show(event("ONE TWO THREE FOUR", stable=3))
    assert terminal.screen.lines == ["…THREE FOUR"]
    display.show(event("鮪 鮪 鮪 鮪 鮪 鮪"))
    assert terminal.screen.lines == ["… 鮪 鮪 鮪"]


def test_a_resized_terminal_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, display = make_terminal(40, monkeypatch)
    display.show(event("ONE TWO THREE FOUR FIVE"))
    terminal.screen.columns = 9
    display.show(event("ONE TWO THREE FOUR FIVE SIX"))
    assert terminal.screen.lines == ["…IVE SIX"]


def test_the_width_is_that_of_the_streams_own_terminal() -> None:
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as stream:
        display = TerminalDisplay(stream)
        assert display._columns() == 80  # a terminal that does not know its size
        import termios

        termios.tcsetwinsize(slave, (24, 33)) if hasattr(termios, "tcsetwinsize") else pytest.skip("Python 3.11")
        assert display._columns() == 33
    os.close(master)


def test_warnings_scroll_above_the_partial_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal, display = make_terminal(40, monkeypatch)
    logger = logging.getLogger("speechrnn")
    with messages_above(display):
        display.show(event("ONE TWO"))
        logger.warning("This machine is %s.", "slow")
        assert terminal.screen.lines == [""]
    logger.warning("no more")
    assert capsys.readouterr().err == "This machine is slow.\n"


def test_json_and_text_have_a_line_an_event() -> None:
    stream = io.StringIO()
    for each in (event("ONE"), event("ONE TWO", "final"), event("", "final")):
        JsonLinesDisplay(stream).show(each)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["kind"], line["text"]) for line in lines] == [("partial", "ONE"), ("final", "ONE TWO"), ("final", "")]
    stream = io.StringIO()
    for each in (event("ONE"), event("ONE TWO", "final"), event("", "final")):
        TextDisplay(stream).show(each)
    assert stream.getvalue() == "ONE TWO\n"
