"""Settings and fixtures that all tests share: real data when it is at hand, threads, hypothesis."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

# A time limit for an example fails tests on a busy machine.
settings.register_profile("speechrnn", deadline=None)
settings.load_profile("speechrnn")

# Models in tests are small: a second thread gains nothing, and beside another program each step would wait for it.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the same for programs that tests start, so that sums are the same

SHARED = Path(__file__).parents[1] / ".." / "shared" / "data"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run slow and GPU tests only where `-m` names them: an expression replaces the default one."""
    names = [name for name in ("slow", "gpu") if name not in config.getoption("markexpr")]
    excluded = [item for item in items if any(item.get_closest_marker(name) for name in names)]
    if excluded:
        config.hook.pytest_deselected(items=excluded)
        items[:] = [item for item in items if item not in excluded]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real recordings and texts beside the project; skip where there is none."""
    if not SHARED.is_dir():
        pytest.skip("the real recordings (../shared/data) are not on this machine")
    return SHARED.resolve()


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Restore torch's number of threads: to import silero_vad sets it to 1, and sums depend on it in the last bit."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
