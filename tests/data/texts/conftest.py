"""Fixtures of the tests of texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from speechrnn.text.normalisation import NormalisationOptions


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a file below the test's folder; folders are made."""

    def write_file(name: str, text: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_file


@pytest.fixture
def as_it_is() -> NormalisationOptions:
    """conf/normalisation/none.yaml."""
    return NormalisationOptions("keep", "none", "keep", straight_quotes=False, collapse_spaces=False)
