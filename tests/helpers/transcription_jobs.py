"""Jobs of `speechrnn transcribe`: their journals, and the command in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from helpers.acoustic_models import ALONE

ROOT = Path(__file__).parents[2]


QUIET = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


Run = Callable[..., tuple[int, str, str]]


def states(folder: Path) -> list[dict[str, Any]]:
    """The lines of the record, but for the first and for one that is torn."""
    path = folder / "job.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)[1:] if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def done(folder: Path) -> int:
    return sum(entry["status"] == "done" for entry in states(folder))


def start(*overrides: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "recipes" / "transcribe.py"), *ALONE, *overrides],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=QUIET,
    )
