"""Write transcripts to files: one small writer for each format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from speechrnn.core.config import did_you_mean
from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write
from speechrnn.transcription.writers.captions import SrtWriter, VttWriter
from speechrnn.transcription.writers.fields import TranscriptFields
from speechrnn.transcription.writers.plain import JsonWriter, TextWriter
from speechrnn.transcription.writers.subtitles import SubtitleOptions
from speechrnn.transcription.writers.tables import CtmWriter, TsvWriter
from speechrnn.transcription.writers.textgrid import TextGridWriter

FORMATS = ("txt", "json", "srt", "vtt", "tsv", "ctm", "textgrid")


class Writer(Protocol):
    """Write transcripts in one format, in time proportional to the words.

    >>> writer: Writer = find_writers(["srt"])[0]
    >>> writer.suffix
    '.srt'

    Attributes:
        suffix: of its files, with the dot.
    """

    @property
    def suffix(self) -> str: ...

    def format(self, transcript: TranscriptFields, recording: str) -> str:
        """Return the content of the file; a transcript without words is valid too.

        Args:
            transcript: what is written.
            recording: name of the recording, without suffix, for formats that hold it.
        """
        ...


def write_transcript(writer: Writer, transcript: TranscriptFields, path: Path, within: Path | None = None) -> None:
    """Write one transcript to a file, whole or not at all.

    >>> write_transcript(find_writers(["srt"])[0], transcript, Path("talk.srt"))  # doctest: +SKIP

    Args:
        writer: of the format.
        transcript: what is written.
        path: of the file; its name without suffix names the recording.
        within: a folder that the file must lie in, symlinks followed; None for anywhere.

    Raises:
        UserError: the folder cannot be written, the disk is full, or the file would lie outside `within`.
        ValueError: the transcript holds a number that is not finite, and the format cannot.
    """
    content = writer.format(transcript, path.name.removesuffix(writer.suffix)).encode()
    with atomic_write(path, "wb", within=within) as file:
        file.write(content)


def find_writers(formats: Sequence[str], subtitles: SubtitleOptions | None = None) -> list[Writer]:
    """Return the writers of these formats, each once.

    >>> [writer.suffix for writer in find_writers(["txt", "srt"])]
    ['.txt', '.srt']

    Args:
        formats: names among `FORMATS`.
        subtitles: layout of srt and vtt; None: the defaults.

    Raises:
        UserError: an unknown format (names the nearest), or none at all.
    """
    for name in formats:
        if name not in FORMATS:
            near = did_you_mean(name, FORMATS)
            choices = f"; the formats are {', '.join(FORMATS)}." if near == "." else near
            raise UserError(f"No format {name}{choices}")
    if not formats:
        raise UserError(f"formats=[] would write no transcripts; choose among {', '.join(FORMATS)}.")
    layout = subtitles or SubtitleOptions()
    writers: dict[str, Writer] = {
        "txt": TextWriter(),
        "json": JsonWriter(),
        "srt": SrtWriter(layout),
        "vtt": VttWriter(layout),
        "tsv": TsvWriter(),
        "ctm": CtmWriter(),
        "textgrid": TextGridWriter(),
    }
    return [writers[name] for name in dict.fromkeys(formats)]


__all__ = ["FORMATS", "SubtitleOptions", "TranscriptFields", "Writer", "find_writers", "write_transcript"]
