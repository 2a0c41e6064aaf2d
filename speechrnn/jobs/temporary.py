"""Temporary folders that the next job removes where a job was killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from speechrnn.core.files import try_lock

PREFIX = "speechrnn-"
LOCK = ".lock"
YOUNG_SECONDS = 60.0  # age below which a folder without a lock may be one that is just being made


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make an empty folder and remove it at the end; also remove those of processes that were killed.

    A lock on a file in the folder shows that its process is running.
    """
    remove_abandoned(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with (folder / LOCK).open("wb") as lock:
            try_lock(lock.fileno())
            (folder / "files").mkdir()
            yield folder / "files"


def remove_abandoned(parent: Path) -> None:
    """Remove the temporary folders in `parent` that belong to this user and to no living process."""
    for folder in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # another process may be faster
            if folder.is_symlink() or not folder.is_dir() or not _is_mine(folder):
                continue
            lock = folder / LOCK
            if not lock.exists():
                if time.time() - folder.stat().st_mtime > YOUNG_SECONDS and not any(folder.iterdir()):
                    folder.rmdir()
                continue
            with lock.open("r+b") as file:
                if try_lock(file.fileno()):
                    shutil.rmtree(folder, ignore_errors=True)


def _is_mine(folder: Path) -> bool:
    return not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()
