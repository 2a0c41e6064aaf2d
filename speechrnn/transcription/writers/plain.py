"""The formats that hold a transcript as it is: its words alone, or everything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from speechrnn.core.files import atomic_write
from speechrnn.transcription.writers.fields import one_line

if TYPE_CHECKING:
    from speechrnn.transcription.transcript import Transcript


class TextWriter:
    """The words alone, on one line; an empty line where nothing was said."""

    suffix = ".txt"

    def write(self, transcript: Transcript, path: Path) -> None:
        """See Writer."""
        with atomic_write(path) as file:
            file.write(one_line(transcript.text) + "\n")


class JsonWriter:
    """All that is known of a transcript; times in seconds."""

    suffix = ".json"

    def write(self, transcript: Transcript, path: Path) -> None:
        """See Writer."""
        text = json.dumps(transcript.to_json(), indent=2, ensure_ascii=False) + "\n"
        with atomic_write(path, "wb") as file:
            # A file name that is no UTF-8 holds lone surrogates, whose \udc80 is JSON's own escape as well.
            file.write(text.encode("utf-8", "backslashreplace"))
