"""Ctrl-C at moments where Python would lose it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send"),
]

SWALLOWS = """
import time
try:
    print("ready", flush=True)
    time.sleep(60)
except BaseException:
    pass
"""

FINALIZER = """
import time
class Slow:
    def __del__(self):
        print("ready", flush=True)
        time.sleep(60)
slow = Slow()
del slow
"""


def interrupt(folder: Path, script: str, handler: object = signal.default_int_handler) -> tuple[int, str]:
    """Run a script that prints "ready", press Ctrl-C, and return the exit status and standard error."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"from speechrnn.cli.interrupt import catch_interrupts\ncatch_interrupts()\n{script}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        preexec_fn=lambda: signal.signal(signal.SIGINT, handler),  # type: ignore[arg-type]
    )
    assert process.stdout is not None
    while process.stdout.readline() != "ready\n":
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    return process.returncode, err


@pytest.mark.parametrize("script", ["import swallows", FINALIZER])
def test_a_ctrl_c_is_not_lost(tmp_path: Path, script: str) -> None:
    (tmp_path / "swallows.py").write_text(SWALLOWS)
    status, err = interrupt(tmp_path, f"{script}\nprint('went on')")
    assert status == 130
    assert err.strip().count("\n") == 0 and "interrupted" in err


def test_what_ignores_ctrl_c_goes_on(tmp_path: Path) -> None:
    (tmp_path / "short.py").write_text('import time\nprint("ready", flush=True)\ntime.sleep(0.5)')
    assert interrupt(tmp_path, "import short", signal.SIG_IGN) == (0, "")
