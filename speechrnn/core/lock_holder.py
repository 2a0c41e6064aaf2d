"""The process that has locked a file, for the message to a user whose command must wait."""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path

PROC = Path("/proc")
SHOWN = 200  # most characters of a command in a message


def describe_holder(descriptor: int) -> str:
    """Return a phrase in brackets that names the process which has locked an open file; "" where it is unknown.

    Linux lists locks in /proc/locks. A lock outlives its process where processes that it started have the file too.

    >>> describe_holder(0)
    ''

    Args:
        descriptor: of the file.
    """
    try:
        pid = _find_holder(os.fstat(descriptor))
        if pid is None:
            return ""
        fields = (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        began = _boot_time() + int(fields[19]) / os.sysconf("SC_CLK_TCK")  # field 22, starttime
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(began))
        arguments = (PROC / str(pid) / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except FileNotFoundError:
        return f" (locked by process {pid}, which has ended; processes that it started have not)"
    except (OSError, ValueError, IndexError, AttributeError):  # another system, or another user's process
        return ""
    command = shlex.join(argument.decode(errors="replace") for argument in arguments)
    command = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in command)
    command = command if len(command) <= SHOWN else f"{command[:SHOWN]}..."
    return f" (process {pid}, since {since}: {command})"


def _find_holder(file: os.stat_result) -> int | None:
    """Return the process that has an exclusive lock (flock) on a file; None where none is listed."""
    if not (PROC / "locks").is_file():
        return None
    for line in (PROC / "locks").read_text().splitlines():
        # 1: FLOCK  ADVISORY  WRITE 6703 fe:00:5914743 0 EOF
        fields = line.split()
        if fields[1:4] != ["FLOCK", "ADVISORY", "WRITE"] or len(fields) < 6:
            continue
        major, minor, inode = fields[5].split(":")
        if (int(major, 16), int(minor, 16), int(inode)) == (os.major(file.st_dev), os.minor(file.st_dev), file.st_ino):
            return int(fields[4]) if int(fields[4]) > 0 else None  # 0 and less: of another container or machine
    return None


def _boot_time() -> float:
    """Return when the system was started, in seconds of the epoch."""
    lines = (PROC / "stat").read_text().splitlines()
    return float(next(line for line in lines if line.startswith("btime")).split()[1])
