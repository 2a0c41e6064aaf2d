"""Printed transcripts: in the order of the inputs, each segment once, whatever is decoded first."""

from __future__ import annotations

import io

import pytest

from speechrnn.decoding.hypothesis import Word
from speechrnn.jobs.inputs import Input
from speechrnn.jobs.transcript_printer import TranscriptPrinter
from speechrnn.transcription.transcript import Segment, Transcript


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


INPUTS = [Input("a", "a.wav"), Input("b", "b.wav")]


def segment(text: str, start: float) -> Segment:
    return Segment(start, start + 1.0, text, confidence=1.0, words=(Word(text, start, start + 1.0, confidence=1.0),))


def transcript(name: str, *segments: Segment) -> Transcript:
    text = " ".join(each.text for each in segments)
    return Transcript(
        name, 5.0, text, confidence=1.0, segments=segments, alternatives=(), model="tiny", decoding="greedy"
    )


def test_segments_of_a_later_recording_wait_and_none_is_printed_twice() -> None:
    file = io.StringIO()
    printer = TranscriptPrinter(INPUTS, file=file)
    first, two, three = segment("ONE", 0.0), segment("TWO", 2.0), segment("THREE", 0.0)
    printer.add(INPUTS[1], three)
    printer.add(INPUTS[0], first)
    assert file.getvalue() == "a.wav\tONE"
    printer.finish(INPUTS[0], transcript("a.wav", first, two))
    assert file.getvalue() == "a.wav\tONE TWO\nb.wav\tTHREE"
    printer.finish(INPUTS[1], transcript("b.wav", three))
    assert file.getvalue() == "a.wav\tONE TWO\nb.wav\tTHREE\n"


@pytest.mark.parametrize(
    ("terminal", "line"), [(False, "b.wav\tONE\n"), (True, "b.wav:\n[00:00.000 --> 00:01.000]  ONE\n")]
)
def test_a_failed_recording_is_not_printed(terminal: bool, line: str) -> None:
    file = Terminal() if terminal else io.StringIO()
    printer = TranscriptPrinter(INPUTS, file=file)
    printer.finish(INPUTS[0], None)
    printer.finish(INPUTS[1], transcript("b.wav", segment("ONE", 0.0)))
    assert file.getvalue() == line


def test_a_recording_that_fails_after_some_words_ends_its_line() -> None:
    file = io.StringIO()
    printer = TranscriptPrinter(INPUTS, file=file)
    printer.add(INPUTS[0], segment("ONE", 0.0))
    printer.finish(INPUTS[0], None)
    printer.finish(INPUTS[1], transcript("b.wav", segment("TWO", 0.0)))
    assert file.getvalue() == "a.wav\tONE\nb.wav\tTWO\n"


@pytest.mark.parametrize(("terminal", "text"), [(False, "a.wav\t\nb.wav\t\n"), (True, "a.wav:\nb.wav:\n")])
def test_recordings_without_words_are_named(terminal: bool, text: str) -> None:
    file = Terminal() if terminal else io.StringIO()
    printer = TranscriptPrinter(INPUTS, file=file)
    for item in INPUTS:
        printer.finish(item, transcript(item.source))
    assert file.getvalue() == text


def test_the_channels_of_a_recording_are_named() -> None:
    file = io.StringIO()
    inputs = [Input(f"a.channel{channel}", "a.wav", channel=channel) for channel in range(2)]
    printer = TranscriptPrinter(inputs, file=file)
    for item in inputs:
        printer.finish(item, transcript("a.wav", segment("ONE", 0.0)))
    assert file.getvalue() == "a.wav, channel 0\tONE\na.wav, channel 1\tONE\n"


def test_a_single_recording_is_printed_without_its_name() -> None:
    file = io.StringIO()
    printer = TranscriptPrinter(INPUTS[:1], file=file)
    printer.finish(INPUTS[0], transcript("a.wav", segment("ONE", 0.0)))
    assert file.getvalue() == "ONE\n"


def test_a_terminal_gets_names_and_times() -> None:
    file = Terminal()
    printer = TranscriptPrinter(INPUTS, file=file)
    printer.finish(INPUTS[0], transcript("a.wav", segment("ONE", 3723.5)))
    assert file.getvalue() == "a.wav:\n[01:02:03.500 --> 01:02:04.500]  ONE\n"
