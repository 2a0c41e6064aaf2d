"""One process at a time is at work in a run's folder."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from speechrnn.core.errors import UserError
from speechrnn.experiments.folder_lock import lock_folder
from speechrnn.experiments.run import Run

HOLDER = """
import sys
from pathlib import Path
from speechrnn.experiments.folder_lock import lock_folder
lock = lock_folder(Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process at work in tmp_path."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "locked\n"
        yield process
        process.kill()


@pytest.mark.integration
@pytest.mark.parametrize("restart", [False, True])
def test_a_second_command_is_refused_and_removes_nothing(
    tmp_path: Path, restart: bool, holder: subprocess.Popen[str]
) -> None:
    (tmp_path / "config.yaml").write_text("# speechrnn: the configuration of this run. Recipe: speech_to_text\n")
    (tmp_path / "metrics.json").write_text("{}")
    config = OmegaConf.create({"output": str(tmp_path), "restart": restart})
    with pytest.raises(UserError, match=r"Another process is at work in .*; wait for it") as error:
        Run.open("speech_to_text", config, [])
    if Path("/proc/locks").is_file():
        assert f"(process {holder.pid}, since 2" in str(error.value) and " -c " in str(error.value)
    assert (tmp_path / "metrics.json").exists()
    holder.kill()
    holder.wait()
    Run.open("speech_to_text", config, [])


def test_this_process_may_open_the_folder_again_and_gives_it_back(tmp_path: Path) -> None:
    first = lock_folder(tmp_path)
    assert lock_folder(tmp_path) is first
    del first
    gc.collect()
    assert lock_folder(tmp_path) is not None
