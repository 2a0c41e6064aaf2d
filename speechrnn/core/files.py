"""Files that are whole or absent: written under a temporary name, then renamed."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from speechrnn.core.errors import UserError

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

TEMPORARY = ".speechrnn.tmp"  # end of the names of temporary files
NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
LONGEST = 200  # bytes of a name that a temporary name repeats; file systems stop at 255

_synced = ContextVar("synced", default=True)
_numbers = itertools.count()


@contextlib.contextmanager
def atomic_write(path: str | Path, mode: str = "w", within: Path | None = None) -> Iterator[IO[Any]]:
    """Open `path` for writing so that a reader only ever sees the old file or the whole new one.

    The bytes go to a temporary file in the same folder (a rename is atomic only within a file system), reach the disk,
    and take the final name last, replacing a symlink of that name. The temporary file is removed whatever happens; one
    that a killed process has left is taken over by the next that writes the same file.

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
    try:
        if "\0" in str(path):
            raise OSError("its name holds a NUL character")
        if within is not None:
            check_inside(path, within)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary, descriptor = _open_temporary(path)
        with os.fdopen(descriptor, mode, encoding=None if "b" in mode else "utf-8") as file:
            try:
                yield file
                file.flush()
                if _synced.get():
                    os.fsync(file.fileno())
                if fcntl is None:  # on Windows, an open file cannot be renamed
                    file.close()
                temporary.replace(path)
            except BaseException:
                # Remove it before it is closed: closing releases the lock, and another process may then use the file.
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"Cannot write {path}: {reason}; choose another output folder or free some space.") from error


def _open_temporary(path: Path) -> tuple[Path, int]:
    """Open the temporary file of a path, empty; return its name and its descriptor.

    Its name is the same each time, so that no killed process leaves more than one. A lock shows whether a living
    process writes it; in that case, and where the system has no locks, a unique name is used.
    """
    stem = temporary_stem(path.name)
    temporary = path.with_name(f".{stem}{TEMPORARY}")
    while True:
        # Never through something that has the name already, as a symlink might.
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | NO_LINK, 0o666)
        except OSError:
            break  # somebody else's, a symlink, or a folder; the name below tells whether nothing can be written
        there = os.fstat(descriptor)
        if not stat.S_ISREG(there.st_mode) or there.st_nlink > 1 or not try_lock(descriptor):
            os.close(descriptor)
            if there.st_nlink:
                break
            continue
        if is_at(descriptor, temporary):
            os.truncate(descriptor, 0)
            return temporary, descriptor
        os.close(descriptor)  # the process that had it was faster, and renamed it
    temporary = path.with_name(f".{stem}.{os.getpid()}{next(_numbers):06}{TEMPORARY}")
    return temporary, os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINK, 0o666)


def try_lock(descriptor: int) -> bool | None:
    """Lock an open file or folder for this process, until it is closed.

    Returns:
        Whether it is locked; False where another process has it, None where the system or the disk knows no locks.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def is_at(descriptor: int, path: Path) -> bool:
    """Return whether a path leads to an open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except OSError:
        return False


def check_not_read(output: Path | None, read: Mapping[str, Iterable[Path | None]], key: str = "output") -> None:
    """Raise UserError where a file that will be written is one of those that are read.

    >>> check_not_read(Path("texts.jsonl"), {"prompts": [Path("prompts.jsonl")]})

    Args:
        output: the file that is written; None: none is.
        read: files by the keys that name them; of a folder, the files that are read are to be given.
        key: that names the output.
    """
    for name, paths in read.items():
        for path in paths:
            with contextlib.suppress(OSError, ValueError):  # one that is not there
                if output is not None and path is not None and path.is_file() and output.samefile(path):
                    raise UserError(
                        f"{key}={output} is read as {name}={path}, and would be overwritten; choose another {key}."
                    )


def expand_user(path: str | Path) -> Path:
    """Return a path whose `~` or `~name` at the beginning is the home folder that it stands for.

    >>> expand_user("talks/~old")
    PosixPath('talks/~old')

    Raises:
        UserError: there is no such user, or the user of this process has no home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        start = Path(path).parts[0]
        raise UserError(f"{path} leads nowhere: this machine knows no home folder {start}; write it out.") from None


def is_file(path: Path) -> bool:
    """Return whether a path is a file; one that no file system takes, too long or with a zero byte, is none.

    >>> is_file(Path("a" * 5000))
    False
    """
    return _is(Path.is_file, path)


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder; see `is_file`."""
    return _is(Path.is_dir, path)


def _is(kind: Callable[[Path], bool], path: Path) -> bool:
    try:
        return kind(path)
    except (OSError, ValueError):
        return False


def short_path(path: Path) -> Path:
    """Return a path as it is typed from the working folder, where it lies below that, and as it is elsewhere.

    >>> short_path(Path.cwd() / "outputs" / "demo").as_posix()
    'outputs/demo'
    """
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def copy_file(source: str | Path, target: str | Path) -> None:
    """Copy a file, so that a reader only ever sees the old or the whole new one.

    Raises:
        UserError: the source cannot be read, or the target not be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            content = stack.enter_context(Path(source).open("rb"))
        except OSError as error:
            raise UserError(f"{source} cannot be read: {error.strerror or error}.") from error
        shutil.copyfileobj(content, stack.enter_context(atomic_write(target, "wb")))


def begins_with(path: str | Path, start: bytes) -> bool:
    """Return whether a file begins with such bytes.

    >>> begins_with(__file__, b"#!/bin/sh")
    False

    Raises:
        OSError: it cannot be read.
    """
    with Path(path).open("rb") as file:
        return file.read(len(start)) == start


def folder_size(path: str | Path) -> int:
    """Return the bytes of a file, or of all files in a folder.

    >>> folder_size(Path(__file__)) > 1000
    True
    """
    path = Path(path)
    files = [path] if path.is_file() else [inside for inside in path.rglob("*") if inside.is_file()]
    return sum(file.stat().st_size for file in files)


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
    """Return the part of a temporary file's name, .STEM.speechrnn.tmp, that stands for a file's own name.

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
    """Make `atomic_write` return before the bytes are on the disk.

    For many small files that can be made again: a killed process still leaves them whole or absent, a power cut may
    leave some of them empty.
    """
    token = _synced.set(False)
    try:
        yield
    finally:
        _synced.reset(token)
