"""Fixtures of the tests of corpora: audio files, and a view of prepared parts."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from helpers.corpora import ReadCuts, Speak, Write


@pytest.fixture
def speak() -> Speak:
    """Write a hum of some seconds under a path; folders are made."""

    def write(path: Path, seconds: float = 0.5, rate: int = 8000, channels: int = 1, **how: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        wave = 0.1 * np.sin(np.arange(round(seconds * rate)) * 0.3)
        soundfile.write(path, np.stack([wave] * channels, axis=1), rate, **how)
        return path

    return write


@pytest.fixture
def write() -> Write:
    """Write a text file; folders are made."""

    def write_text(path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write_text


@pytest.fixture
def read_cuts() -> ReadCuts:
    """The cuts of a prepared split as plain dictionaries."""

    def read(path: Path | None) -> list[dict[str, Any]]:
        assert path is not None
        with gzip.open(path, "rt", encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    return read
