"""What records of work are made of: whole lines in a file that one process writes, and what the work was made with."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from speechrnn.core.errors import UserError

# What is known by its sha256 alone, and how to speak of it.
DIGESTS = {"model": "another model", "language_model": "another language model", "prompts": "other prompts"}


def compare(before: Mapping[str, Any], now: Mapping[str, Any], there: Path) -> None:
    """Raises UserError where `there` was made with something else than what is given now (in JSON values)."""
    before, now = flat(before), flat(now)
    different = next((key for key in [*now, *before] if before.get(key) != now.get(key)), None)
    if different is None:
        return
    was = DIGESTS.get(different) or f"{different}={json.dumps(before.get(different), ensure_ascii=False)}"
    raise UserError(
        f"{there} was made with {was}: give the same keys to go on, choose another output, or overwrite=true "
        "to lose what is there."
    )


def flat(keys: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Keys as one types them: {"decoding": {"name": "beam"}} -> {"decoding.name": "beam"}."""
    found: dict[str, Any] = {}
    for key, value in keys.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def digest(*paths: Path) -> str:
    """The sha256 of the files' bytes."""
    found = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(2**20):
                found.update(block)
    return found.hexdigest()


def whole_lines(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """(offset, line) of a file of lines from its beginning; a torn one at the end is cut off the file."""
    file.seek(0)
    size = 0
    with open(file.fileno(), "rb", closefd=False) as lines:  # an unbuffered file would be read byte by byte
        for line in lines:
            if not line.endswith(b"\n"):
                file.truncate(size)
                break
            yield size, line
            size += len(line)


def append(file: IO[bytes], data: bytes) -> int:
    """Adds to an unbuffered file, all or nothing: on a full disk, what was begun is cut off again. Returns where."""
    size = file.seek(0, os.SEEK_END)
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError:
        file.truncate(size)
        raise
    return size


def cannot_write(path: Path, error: OSError) -> UserError:
    """The sentence for a job that has to stop."""
    return UserError(
        f"Cannot write {path}: {error.strerror or error}; give the same command again when that is mended."
    )


def alone(file: IO[bytes], path: Path) -> None:
    """Sees to it that no other process writes into the file. UserError where one does."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(f"Another process is writing {path}; wait for it, or end it first.") from None
