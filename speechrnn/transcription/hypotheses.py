"""Write `hypotheses.jsonl`: one JSON line for each transcribed recording."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechrnn.core.files import atomic_write

if TYPE_CHECKING:
    from speechrnn.transcription.transcript import Transcript

OPTIONAL = frozenset({"channel", "reference", "alternatives", "warnings"})  # left out where there is none


def row(id: str, transcript: Transcript, reference: str | None = None) -> dict[str, Any]:
    """Return the line of `hypotheses.jsonl` for an utterance, with its reference where it is known."""
    fields = {
        "id": id,
        "audio": transcript.audio,
        "channel": transcript.channel,
        "duration": transcript.duration,
        "reference": reference,
        "hypothesis": transcript.text,
        "confidence": transcript.confidence,
        "words": [{**vars(word)} for word in transcript.words],  # asdict copies deeply: half the time of a short file
        "alternatives": [asdict(alternative) for alternative in transcript.alternatives] or None,
        "decoding": transcript.decoding,
        "warnings": [asdict(warning) for warning in transcript.warnings] or None,
    }
    return {key: value for key, value in fields.items() if value is not None or key not in OPTIONAL}


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write `hypotheses.jsonl`, whole or not at all.

    Raises:
        UserError: it cannot be written.
        ValueError: a row, which the message names, holds a number that is not finite.
    """
    with atomic_write(path) as file:
        for fields in rows:
            try:
                file.write(json.dumps(fields, ensure_ascii=False, allow_nan=False) + "\n")
            except ValueError as error:
                raise ValueError(f"{fields.get('id')}: {error}") from error
