"""The process that has a lock is named with its time and command."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

import pytest

from speechrnn.core import lock_holder
from speechrnn.core.files import try_lock
from speechrnn.core.lock_holder import describe_holder

pytestmark = pytest.mark.skipif(not Path("/proc/locks").is_file(), reason="the system does not list locks")


def locked(path: Path) -> int:
    descriptor = os.open(path, os.O_RDONLY)
    assert try_lock(descriptor)
    return descriptor


@pytest.mark.parametrize("folder", [True, False])
def test_the_holder_of_a_lock_is_named(tmp_path: Path, folder: bool) -> None:
    path = tmp_path if folder else tmp_path / "job.jsonl"
    path.touch()
    holder, other = locked(path), os.open(path, os.O_RDONLY)
    try:
        found = describe_holder(other)
        day = time.strftime("%Y-", time.localtime())
        assert re.fullmatch(rf" \(process {os.getpid()}, since {day}\d\d-\d\d \d\d:\d\d: .*\)", found), found
        assert Path(sys.executable).name.split("3")[0] in found or "pytest" in found
        assert len(found) < lock_holder.SHOWN + 80
    finally:
        os.close(holder)
    assert describe_holder(other) == ""
    os.close(other)


def test_a_process_that_has_ended_is_said_to_have_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path.stat()
    device = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}"
    (tmp_path / "locks").write_text(
        f"1: POSIX  ADVISORY  READ 5 {device}:{file.st_ino} 0 EOF\n1: -> FLOCK ADVISORY WRITE 6\n"
        f"2: FLOCK  ADVISORY  WRITE 7 {device}:1 0 EOF\n"
        f"3: FLOCK  ADVISORY  WRITE 99999999 {device}:{file.st_ino} 0 EOF\n"
    )
    monkeypatch.setattr(lock_holder, "PROC", tmp_path)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    assert "locked by process 99999999, which has ended" in describe_holder(descriptor)
    (tmp_path / "locks").unlink()
    assert describe_holder(descriptor) == ""
    os.close(descriptor)
