"""The folder of a run, and its page, for the tests of single pages of the tutorials."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any


def page_run(folder: Path) -> Any:
    """Return what a page needs of a run: its configuration, and where the page is written."""
    (folder / "config.yaml").write_text("seed: 1\nname: <b>\n")
    return SimpleNamespace(config=folder / "config.yaml", report=folder / "report.html")
