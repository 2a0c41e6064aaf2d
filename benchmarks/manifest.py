"""Recordings of a manifest, for the benchmarks that take one: JSON lines with audio_filepath and text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from timing import stop


def read_rows(manifest: Path, every: int = 1, key: str = "--manifest") -> list[dict[str, Any]]:
    """Return every n-th row of a manifest; its audio_filepath begins at the manifest's folder.

    A manifest that is not there, has no rows, or rows of another form, ends the script with a sentence
    that names the key.
    """
    try:
        rows = [json.loads(text) for text in manifest.read_text().splitlines() if text.strip()][::every]
        # the text once more, so that a row without one is refused
        rows = [{**row, "audio_filepath": manifest.parent / row["audio_filepath"], "text": row["text"]} for row in rows]
    except OSError as error:
        stop(f"{manifest} cannot be read ({error.strerror}). The key here is {key}.")
    except (ValueError, KeyError, TypeError):
        stop(f"{manifest} is no manifest; give JSON lines with audio_filepath and text. The key here is {key}.")
    if not rows:
        stop(f"{manifest} names no recordings; give JSON lines with audio_filepath and text. The key here is {key}.")
    return rows
