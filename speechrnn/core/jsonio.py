"""JSON files and JSON lines that a run or a job has written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from speechrnn.core.errors import UserError


def read_json(path: Path) -> dict[str, Any]:
    """A file that holds a JSON object; {} where there is none. UserError where it is damaged."""
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); run the stage that writes it again.") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} is damaged (it holds no JSON object); run the stage that writes it again.")
    return value


def read_rows(path: Path, texts: Sequence[str], again: str) -> list[dict[str, Any]]:
    """A file of JSON lines; [] where there is none.

    Args:
        texts: keys that each line must have, with text behind them.
        again: how to get the file anew, for messages.

    Raises:
        UserError: a damaged line.
    """
    if not path.is_file():
        return []
    rows = []
    for line, text in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except ValueError as error:
            raise UserError(f"Line {line} of {path} is no JSON ({error}); {again}.") from error
        if not (isinstance(row, dict) and all(isinstance(row.get(key), str) for key in texts)):
            names = " and ".join(f'"{key}"' for key in texts)
            raise UserError(f"Line {line} of {path} has no texts {names}; {again}.")
        rows.append(row)
    return rows
