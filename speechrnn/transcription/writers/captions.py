"""Write subtitles: SubRip (srt) and WebVTT (vtt)."""

from __future__ import annotations

from speechrnn.transcription.writers.fields import TranscriptFields
from speechrnn.transcription.writers.subtitles import SubtitleOptions, captions

ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class SrtWriter:
    """Write numbered captions, separated by empty lines. The format has no escapes: words stand as they are."""

    suffix = ".srt"

    def __init__(self, options: SubtitleOptions, first: int = 1) -> None:
        """
        Args:
            options: layout.
            first: number of the first caption.
        """
        self.options = options
        self.first = first

    def format(self, transcript: TranscriptFields, recording: str) -> str:
        """See Writer."""
        parts = []
        for number, caption in enumerate(captions(transcript, self.options), self.first):
            times = f"{_clock(caption.start, ',')} --> {_clock(caption.end, ',')}"
            lines = "\n".join(caption.lines)
            parts.append(f"{number}\n{times}\n{lines}\n\n")
        return "".join(parts)


class VttWriter:
    """Write captions for the web; &, < and >, which would be markup, are escaped.

    See https://www.w3.org/TR/webvtt1/.
    """

    suffix = ".vtt"

    def __init__(self, options: SubtitleOptions) -> None:
        self.options = options

    def format(self, transcript: TranscriptFields, recording: str) -> str:
        """See Writer."""
        parts = ["WEBVTT\n"]
        for caption in captions(transcript, self.options):
            times = f"{_clock(caption.start, '.')} --> {_clock(caption.end, '.')}"
            lines = "\n".join(caption.lines).translate(ESCAPES)
            parts.append(f"\n{times}\n{lines}\n")
        return "".join(parts)


def _clock(milliseconds: int, point: str) -> str:
    """Format milliseconds as 01:02:03.004."""
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{rest:03}"
