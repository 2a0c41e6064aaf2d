"""The folder of prepared data: summary.json, written last, tells by its fingerprint that the rest is complete."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write

SUMMARY = "summary.json"


def clear(folder: Path, names: Iterable[str]) -> None:
    """Remove the files of an earlier preparation, the summary first: without it the others are not used.

    Args:
        folder: of the prepared data.
        names: of its files but for the summary.

    Raises:
        UserError: a file cannot be removed.
    """
    for name in (SUMMARY, *names):
        try:
            (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"Cannot write {folder / name}: {error.strerror}; choose another output folder.") from error


def write_summary(folder: Path, summary: dict[str, Any], fingerprint: str) -> None:
    """Write the summary of prepared data, when all other files are there.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_summary(folder, {"splits": {}}, "4f2a")
    >>> read_summary(folder, "4f2a")["splits"], read_summary(folder, "of other options")
    ({}, None)

    Args:
        folder: of the prepared data.
        summary: in JSON values.
        fingerprint: of all that the files depend on.

    Raises:
        UserError: see `atomic_write`.
    """
    with atomic_write(folder / SUMMARY) as file:
        json.dump({**summary, "fingerprint": fingerprint}, file, ensure_ascii=False, indent=2)
        file.write("\n")


def read_summary(folder: Path, fingerprint: str) -> dict[str, Any] | None:
    """Return the summary of prepared data; None where there is none, or it is damaged or of other options or data."""
    try:
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return summary if isinstance(summary, dict) and summary.get("fingerprint") == fingerprint else None
