"""Files that are whole or absent: written under a temporary name, then renamed."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any

from speechrnn.core.errors import UserError

LONGEST = 200  # bytes of a name that a temporary name repeats; file systems stop at 255

_synced = ContextVar("synced", default=True)
_numbers = itertools.count()


@contextlib.contextmanager
def atomic_write(path: str | Path, mode: str = "w", within: Path | None = None) -> Iterator[IO[Any]]:
    """Open `path` for writing so that a reader only ever sees the old file or the whole new one.

    The bytes go to a temporary file in the same folder (a rename is atomic only within a file system), reach the disk,
    and take the final name last, replacing a symlink of that name. The temporary file is removed whatever happens.

    Args:
        path: the final name; its parent folders are made.
        mode: "w" for UTF-8 text, "wb" for bytes.
        within: a folder that the file must lie in, symlinks followed; None for anywhere.

    Raises:
        UserError: the folder cannot be written, the disk is full, or the file would lie outside `within`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_write(f"{folder}/a/notes.txt") as file:
    ...         _ = file.write("whole")
    ...     Path(folder, "a", "notes.txt").read_text()
    'whole'
    """
    path = Path(path)
    temporary = path.with_name(f".{temporary_stem(path.name)}.{os.getpid()}{next(_numbers):06}.tmp")
    try:
        if "\0" in str(path):
            raise OSError("its name holds a NUL character")
        if within is not None:
            check_inside(path, within)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Never through something that already has the temporary name, as a symlink might.
        with temporary.open(mode.replace("w", "x"), encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            if _synced.get():
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"Cannot write {path}: {reason}; choose another output folder or free some space.") from error
    finally:
        with contextlib.suppress(OSError, ValueError):
            temporary.unlink(missing_ok=True)


def check_inside(path: Path, folder: Path) -> None:
    """Raise UserError unless `path` lies in `folder` once the symlinks among its parents are followed.

    >>> check_inside(Path("out/a/b.txt"), Path("out"))
    >>> check_inside(Path("out/../b.txt"), Path("out"))
    Traceback (most recent call last):
    ...
    speechrnn.core.errors.UserError: out/../b.txt lies outside the output folder out; nothing is written there.
    """
    if not path.parent.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{path} lies outside the output folder {folder}; nothing is written there.")


def temporary_stem(name: str) -> str:
    """Return the part of a temporary file's name, .STEM.NUMBER.tmp, that stands for a file's own name.

    It is the name itself, or a shorter one with a digest where the temporary name would be too long.

    >>> temporary_stem("talk.txt")
    'talk.txt'
    """
    bytes_ = os.fsencode(name)
    if len(bytes_) <= LONGEST:
        return name
    digest = hashlib.sha256(bytes_).hexdigest()[:16]
    return f"{bytes_[: LONGEST - 17].decode(errors='ignore')}-{digest}"


@contextlib.contextmanager
def unsynced() -> Iterator[None]:
    """Let `atomic_write` not wait until the bytes are on the disk.

    For many small files that can be made again: a killed process still leaves them whole or absent, a power cut may
    leave some of them empty.
    """
    token = _synced.set(False)
    try:
        yield
    finally:
        _synced.reset(token)
