"""One small writer a format: a transcript in, a file out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from speechrnn.errors import UserError
from speechrnn.files import atomic_write
from speechrnn.options import did_you_mean

if TYPE_CHECKING:
    from speechrnn.transcribe import Transcript


class Writer(Protocol):
    """A file format for transcripts.

    Attributes:
        suffix: of its files, with the dot.
    """

    suffix: str

    def write(self, transcript: Transcript, path: Path) -> None:
        """Writes one transcript, whole or not at all.

        Raises:
            UserError: the folder cannot be written or the disk is full.
        """
        ...


class TextWriter:
    """The words alone, on one line; an empty line where nothing was said."""

    suffix = ".txt"

    def write(self, transcript: Transcript, path: Path) -> None:
        """See Writer."""
        with atomic_write(path) as file:
            file.write(transcript.text + "\n")


class JsonWriter:
    """All that is known of a transcript; times in seconds."""

    suffix = ".json"

    def write(self, transcript: Transcript, path: Path) -> None:
        """See Writer."""
        with atomic_write(path) as file:
            json.dump(transcript.to_json(), file, indent=2, ensure_ascii=False)
            file.write("\n")


WRITERS: dict[str, Writer] = {"txt": TextWriter(), "json": JsonWriter()}


def find_writers(formats: Sequence[str]) -> list[Writer]:
    """The writers of these formats, each once.

    Raises:
        UserError: an unknown format (names the nearest), or none at all.
    """
    for name in formats:
        if name not in WRITERS:
            near = did_you_mean(name, WRITERS)
            choices = f"; the formats are {', '.join(WRITERS)}." if near == "." else near
            raise UserError(f"No format {name}{choices}")
    if not formats:
        raise UserError(f"formats=[] would write no transcripts; choose among {', '.join(WRITERS)}.")
    return [WRITERS[name] for name in dict.fromkeys(formats)]
