"""The lines of a text's parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from speechrnn.data.texts import text_options, text_parts

Write = Callable[[str, str | bytes], Path]


def read(root: Path | None, name: str, **keys: object) -> dict[str, list[str]]:
    """The lines of each part; "|" before those that begin a document, "+" after those that go on."""
    parts = text_parts(text_options({"name": name, "root": root, **keys}))
    return {
        split: ["|" * line.document + line.text + "+" * (not line.ended) for line in part.lines()]
        for split, part in parts.items()
    }
