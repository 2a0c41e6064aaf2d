"""Jobs of `speechrnn transcribe`: their journals, and the command in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from helpers.acoustic_models import ALONE
from speechrnn.cli import main as cli

ROOT = Path(__file__).parents[2]


QUIET = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


Run = Callable[..., tuple[int, str, str]]


def make_run(keys: Sequence[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """`make_run(keys, ...)("key=value", ...)`: transcribe in this process -> (exit status, stdout, stderr)."""

    def transcribe(*overrides: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", sys.argv)
        try:
            status = cli.main(["transcribe", *keys, *overrides])
        except SystemExit as end:
            status = int(end.code or 0)
        return status, *capsys.readouterr()

    return transcribe


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
