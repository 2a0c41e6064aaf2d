"""Files that are whole or absent: written under a temporary name, then renamed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any

from speechrnn.core.errors import UserError

_synced = ContextVar("synced", default=True)


@contextlib.contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open `path` for writing so that a reader only ever sees the old file or the whole new one.

    The bytes go to a temporary name in the same folder (a rename is atomic only within a file
    system), reach the disk, and take the final name last. Whatever goes wrong on the way, the
    temporary file is removed.

    Args:
        path: the final name; its parent folders are made.
        mode: "w" for UTF-8 text, "wb" for bytes.

    Raises:
        UserError: the folder cannot be written or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open(mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            if _synced.get():
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"Cannot write {path}: {reason}; choose another output folder or free some space.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def unsynced() -> Iterator[None]:
    """Within it, `atomic_write` does not wait until the bytes are on the disk.

    For many small files that can be made again: a killed process still leaves them whole or absent, a power cut may
    leave some of them empty.
    """
    token = _synced.set(False)
    try:
        yield
    finally:
        _synced.reset(token)
