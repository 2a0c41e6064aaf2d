"""Write a transcript as it is: its words only, or everything as JSON."""

from __future__ import annotations

import json

from speechrnn.transcription.writers.fields import SURROGATES, TranscriptFields, one_line


class TextWriter:
    """Write the words only, on one line; an empty line where there are none."""

    suffix = ".txt"

    def format(self, transcript: TranscriptFields, recording: str) -> str:
        """See Writer."""
        return one_line(transcript.text) + "\n"


class JsonWriter:
    """Write all fields of a transcript; times in seconds."""

    suffix = ".json"

    def format(self, transcript: TranscriptFields, recording: str) -> str:
        """See Writer. Halves of characters, as in a file name that is no UTF-8, are escaped.

        Raises:
            ValueError: a number is not finite, which JSON cannot hold.
        """
        text = json.dumps(transcript.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        return SURROGATES.sub(lambda half: f"\\u{ord(half[0]):04x}", text)
