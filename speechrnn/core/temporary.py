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
FILES = "files"  # the folder within, which holds what is made
YOUNG_SECONDS = 60.0  # age below which a folder without a lock may be one that is just being made


@contextlib.contextmanager
def temporary_folder(parent: Path | None = None) -> Iterator[Path]:
    """Make an empty folder and remove it at the end; also remove those of processes that were killed.

    A lock on a file in the folder shows that its process is running.

    Args:
        parent: the folder in which it is made; None: the system's for temporary files.
    """
    parent = parent or Path(tempfile.gettempdir())
    remove_abandoned(parent)
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=parent, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with (folder / LOCK).open("wb") as lock:
            try_lock(lock.fileno())
            (folder / FILES).mkdir()
            try:
                yield folder / FILES
            finally:  # before the lock, without which nobody could tell whose they are
                shutil.rmtree(folder / FILES, ignore_errors=True)


def remove_abandoned(parent: Path) -> None:
    """Remove the temporary folders in `parent` that belong to this user and to no living process."""
    for folder in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # another process may be faster
            if folder.is_symlink() or not folder.is_dir() or not _is_mine(folder):
                continue
            lock = folder / LOCK
            if not lock.exists():
                made_here = {path.name for path in folder.iterdir()} <= {FILES}
                if time.time() - folder.stat().st_mtime > YOUNG_SECONDS and made_here:
                    shutil.rmtree(folder, ignore_errors=True)
                continue
            with lock.open("r+b") as file:
                if try_lock(file.fileno()):
                    shutil.rmtree(folder / FILES, ignore_errors=True)
                    shutil.rmtree(folder, ignore_errors=True)


def _is_mine(folder: Path) -> bool:
    return not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()
