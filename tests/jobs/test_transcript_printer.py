"""Printed transcripts: in the order of the inputs, each segment once, whatever is decoded first."""

from __future__ import annotations

import io

from speechrnn.decoding.hypothesis import Word
from speechrnn.jobs.inputs import Input
from speechrnn.jobs.transcript_printer import TranscriptPrinter
from speechrnn.transcription.transcript import Segment, Transcript


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


INPUTS = [Input("a", "a.wav"), Input("b", "b.wav")]


def segment(text: str, start: float) -> Segment:
    return Segment(start, start + 1.0, text, 1.0, (Word(text, start, start + 1.0, 1.0),))


def transcript(name: str, *segments: Segment) -> Transcript:
    text = " ".join(each.text for each in segments)
    return Transcript(name, 5.0, text, 1.0, segments, (), model="tiny", decoding="greedy")


def test_segments_of_a_later_recording_wait_and_none_is_printed_twice() -> None:
    file = io.StringIO()
    printer = TranscriptPrinter(INPUTS, file=file)
    one, two, three = segment("ONE", 0.0), segment("TWO", 2.0), segment("THREE", 0.0)
    printer.add(INPUTS[1], three)
    printer.add(INPUTS[0], one)
    assert file.getvalue() == "ONE"
    printer.finish(INPUTS[0], transcript("a.wav", one, two))
    assert file.getvalue() == "ONE TWO\nTHREE"
    printer.finish(INPUTS[1], transcript("b.wav", three))
    assert file.getvalue() == "ONE TWO\nTHREE\n"


def test_a_failed_recording_is_an_empty_line() -> None:
    file = io.StringIO()
    printer = TranscriptPrinter(INPUTS, file=file)
    printer.finish(INPUTS[0], None)
    printer.finish(INPUTS[1], transcript("b.wav", segment("ONE", 0.0)))
    assert file.getvalue() == "\nONE\n"


def test_a_terminal_gets_names_and_times() -> None:
    file = Terminal()
    printer = TranscriptPrinter(INPUTS, file=file)
    printer.finish(INPUTS[0], transcript("a.wav", segment("ONE", 3723.5)))
    assert file.getvalue() == "a.wav:\n[01:02:03.500 --> 01:02:04.500]  ONE\n"
