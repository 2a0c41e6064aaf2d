"""The lock of a run's folder: one process at a time trains in it."""

from __future__ import annotations

import os
import weakref
from pathlib import Path

from speechrnn.core.errors import UserError
from speechrnn.core.files import try_lock
from speechrnn.core.lock_holder import describe_holder

_locks: weakref.WeakValueDictionary[Path, FolderLock] = weakref.WeakValueDictionary()


class FolderLock:
    """Keep other processes out of a folder while this object lives.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> lock = lock_folder(Path(folder))
    """

    def __init__(self, folder: Path) -> None:
        """
        Args:
            folder: an existing folder. Where the system or the disk knows no locks of folders, there is none.

        Raises:
            UserError: another process has locked it.
        """
        try:
            descriptor = os.open(folder, os.O_RDONLY)
        except OSError:  # Windows
            return
        self._finalizer = weakref.finalize(self, os.close, descriptor)
        if try_lock(descriptor) is False:
            holder = describe_holder(descriptor)
            self._finalizer()
            raise UserError(f"Another process is at work in {folder}{holder}; wait for it, or end it first.")


def lock_folder(folder: Path) -> FolderLock:
    """Return the lock of a folder, which this process may have already.

    Raises:
        UserError: another process has locked it.
    """
    lock = _locks.get(folder)
    if lock is None:
        lock = _locks[folder] = FolderLock(folder)
    return lock
