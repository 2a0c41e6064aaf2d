"""Tests of waiting OpenMP threads: the package bounds their spinning before torch is loaded, unless a user has."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import speechrnn

KEYS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_DISPLAY_ENV")


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these OpenMP settings alone."""
    environment = {key: value for key, value in os.environ.items() if key not in KEYS} | variables
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)


SHOW = "import os; print(os.environ.get('GOMP_SPINCOUNT'))"


@pytest.mark.integration
def test_spinning_is_bounded_by_default_and_child_processes_inherit_it() -> None:
    assert run(f"import speechrnn; {SHOW}").stdout.strip() == speechrnn.SPIN_COUNT
    child = f"import speechrnn, subprocess, sys; subprocess.run([sys.executable, '-c', {SHOW!r}])"
    assert run(child).stdout.strip() == speechrnn.SPIN_COUNT


@pytest.mark.integration
def test_the_choice_of_a_user_stays() -> None:
    assert run(f"import speechrnn; {SHOW}", GOMP_SPINCOUNT="7").stdout.strip() == "7"
    assert run(f"import speechrnn; {SHOW}", OMP_WAIT_POLICY="active").stdout.strip() == "None"
    # Too late: the library has read its settings, and a value that is not in force would mislead.
    assert run(f"import sys; sys.modules['torch'] = sys; import speechrnn; {SHOW}").stdout.strip() == "None"


@pytest.mark.integration
@pytest.mark.skipif(sys.platform != "linux", reason="torch uses libgomp on Linux")
@pytest.mark.parametrize(
    "module", ["speechrnn.transcription.transcriber", "speechrnn.generation.predictor", "speechrnn.training.loop"]
)
def test_the_library_takes_the_setting(module: str) -> None:
    """libgomp prints its settings when it is loaded, with torch, after the package has set them."""
    shown = run(f"import {module}, torch", OMP_DISPLAY_ENV="VERBOSE").stderr
    assert f"GOMP_SPINCOUNT = '{speechrnn.SPIN_COUNT}'" in shown
