"""Print transcripts as they are found: with times on a terminal, as plain text into a pipe or a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from speechrnn.jobs.inputs import Input
from speechrnn.transcription.transcript import Segment, Transcript
from speechrnn.transcription.writers import SubtitleOptions, Writer
from speechrnn.transcription.writers.fields import SegmentFields, one_line
from speechrnn.transcription.writers.subtitles import captions

# A line on a terminal: at most so many characters, seconds, and seconds of silence within it.
LINE = SubtitleOptions(line_length=72, lines=1, longest=10.0, shortest=0.0, pause=1.0)


@dataclass(frozen=True)
class _Passage:
    """A segment in the form that `captions` takes."""

    segments: Sequence[SegmentFields]
    duration: float


class TranscriptPrinter:
    """Print the transcripts of recordings in their order, each segment as soon as those before it are printed.

    On a terminal, each line has its times, and each of several recordings its name. Elsewhere a recording is a line,
    empty where no words were found; of several recordings, each line begins with the name and a tab. A recording that
    failed is not printed. With a writer, each recording is printed in its format when it is complete.
    """

    def __init__(self, inputs: Sequence[Input], writer: Writer | None = None, file: TextIO | None = None) -> None:
        """
        Args:
            inputs: the recordings, in their order.
            writer: of the format; None: words as they are found.
            file: where to print; None: standard output.
        """
        self._inputs = inputs
        self._writer = writer
        self._file = file or sys.stdout
        self._terminal = self._file.isatty()
        self._place = 0  # of the recording that is printed
        self._printed = 0  # of its segments
        self._waiting: dict[str, list[Segment]] = {}  # segments of later recordings, by id
        if hasattr(self._file, "reconfigure"):  # a locale without the letters of a text must not end the job
            self._file.reconfigure(errors="backslashreplace")

    def add(self, item: Input, segment: Segment) -> None:
        """Print a segment of a recording, or keep it until its turn comes; segments of a recording come in order."""
        if self._writer is not None:
            return
        if self._place < len(self._inputs) and item.id == self._inputs[self._place].id:
            self._print(segment)
        else:
            self._waiting.setdefault(item.id, []).append(segment)

    def finish(self, item: Input, transcript: Transcript | None) -> None:
        """Print the rest of a recording; recordings are finished in their order.

        Args:
            item: the recording.
            transcript: of it; None: it failed.
        """
        if self._writer is not None:
            if transcript is not None:
                self._write(self._writer.format(transcript, Path(item.id).name))
        else:
            for segment in transcript.segments[self._printed :] if transcript is not None else ():
                self._print(segment)
            if transcript is not None and not self._printed:
                self._name()
            if not self._terminal and (transcript is not None or self._printed):
                self._write("\n")
        self._waiting.pop(item.id, None)
        self._place += 1
        self._printed = 0
        if self._place < len(self._inputs):
            for segment in self._waiting.pop(self._inputs[self._place].id, ()):
                self._print(segment)

    def _print(self, segment: Segment) -> None:
        first = self._printed == 0
        self._printed += 1
        if first:
            self._name()
        if not self._terminal:
            self._write(f"{'' if first else ' '}{one_line(segment.text)}")
            return
        for caption in captions(_Passage([segment], segment.end), LINE):  # type: ignore[arg-type]
            self._write(f"[{_clock(caption.start)} --> {_clock(caption.end)}]  {' '.join(caption.lines)}\n")

    def _name(self) -> None:
        """Print which of several recordings comes next."""
        if len(self._inputs) > 1:
            item = self._inputs[self._place]
            channel = "" if item.channel is None else f", channel {item.channel}"
            end = ":\n" if self._terminal else "\t"
            self._write(f"{one_line(item.source)}{channel}{end}")

    def _write(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()


def _clock(milliseconds: int) -> str:
    """Format milliseconds as 02:03.004, or 01:02:03.004 from an hour on.

    >>> _clock(123004), _clock(3723004)
    ('02:03.004', '01:02:03.004')
    """
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{f'{hours:02}:' if hours else ''}{minutes:02}:{seconds:02}.{rest:03}"
