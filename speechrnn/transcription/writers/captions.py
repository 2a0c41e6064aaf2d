"""Subtitles as files: SubRip (srt) and WebVTT (vtt)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from speechrnn.core.files import atomic_write
from speechrnn.transcription.writers.subtitles import SubtitleOptions, captions

if TYPE_CHECKING:
    from speechrnn.transcription.transcript import Transcript

ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class SrtWriter:
    """Numbered captions, parted by empty lines. The format has no escapes: words stand as they are."""

    suffix = ".srt"

    def __init__(self, options: SubtitleOptions) -> None:
        self.options = options

    def write(self, transcript: Transcript, path: Path) -> None:
        """See Writer."""
        with atomic_write(path) as file:
            for number, caption in enumerate(captions(transcript, self.options), 1):
                times = f"{_clock(caption.start, ',')} --> {_clock(caption.end, ',')}"
                file.write("\n".join((str(number), times, *caption.lines)) + "\n\n")


class VttWriter:
    """Captions for the web; &, < and >, which would be markup, are escaped.

    See https://www.w3.org/TR/webvtt1/.
    """

    suffix = ".vtt"

    def __init__(self, options: SubtitleOptions) -> None:
        self.options = options

    def write(self, transcript: Transcript, path: Path) -> None:
        """See Writer."""
        with atomic_write(path) as file:
            file.write("WEBVTT\n")
            for caption in captions(transcript, self.options):
                times = f"{_clock(caption.start, '.')} --> {_clock(caption.end, '.')}"
                lines = "\n".join(caption.lines).translate(ESCAPES)
                file.write(f"\n{times}\n{lines}\n")


def _clock(milliseconds: int, point: str) -> str:
    """01:02:03.004"""
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{rest:03}"
