"""What many tests share: the real data, when it is at hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# A time limit for an example fails tests on a busy machine.
settings.register_profile("speechrnn", deadline=None)
settings.load_profile("speechrnn")

SHARED = Path(__file__).parents[1] / ".." / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real recordings and texts beside the project."""
    if not SHARED.is_dir():
        pytest.skip("the real recordings (../shared/data) are not on this machine")
    return SHARED.resolve()
