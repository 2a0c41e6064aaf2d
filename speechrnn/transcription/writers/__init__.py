"""One small writer a format: a transcript in, a file out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from speechrnn.core.config import did_you_mean
from speechrnn.core.errors import UserError
from speechrnn.transcription.writers.captions import SrtWriter, VttWriter
from speechrnn.transcription.writers.plain import JsonWriter, TextWriter
from speechrnn.transcription.writers.subtitles import SubtitleOptions
from speechrnn.transcription.writers.tables import CtmWriter, TsvWriter
from speechrnn.transcription.writers.textgrid import TextGridWriter

if TYPE_CHECKING:
    from speechrnn.transcription.transcript import Transcript

FORMATS = ("txt", "json", "srt", "vtt", "tsv", "ctm", "textgrid")


class Writer(Protocol):
    """A file format for transcripts; writing takes time in proportion to the words.

    Attributes:
        suffix: of its files, with the dot.
    """

    @property
    def suffix(self) -> str: ...

    def write(self, transcript: Transcript, path: Path) -> None:
        """Writes one transcript, whole or not at all; nothing said is a valid file too.

        Raises:
            UserError: the folder cannot be written or the disk is full.
        """
        ...


def find_writers(formats: Sequence[str], subtitles: SubtitleOptions | None = None) -> list[Writer]:
    """The writers of these formats, each once.

    Args:
        subtitles: how srt and vtt are laid out; None: as usual.

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


__all__ = ["FORMATS", "SubtitleOptions", "Writer", "find_writers"]
