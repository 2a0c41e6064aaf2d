"""One input under limits of time and memory; what it may not do is reported."""

from __future__ import annotations

import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from speechrnn.core.errors import UserError

CPU_SECONDS = 20  # of one input; processor time, so that a busy machine changes nothing
MEMORY = 1 << 30  # bytes that one input may take
LONGEST_MESSAGE = 2000  # characters of a sentence for a user

_scratch: Path | None = None
_trespasses: list[str] = []
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod"}
_CODE = {"pickle.find_class", "os.system", "os.exec", "socket.connect", "ctypes.dlopen", "marshal.loads"}


class OutOfTimeError(BaseException):
    """An input took longer than `CPU_SECONDS`."""


def confine(scratch: Path) -> None:
    """Watch this process from now on: what is written outside `scratch`, and what may run code of a file's."""
    global _scratch
    first = _scratch is None
    _scratch = scratch.resolve()
    if first:
        sys.addaudithook(_audit)
        signal.signal(signal.SIGPROF, _out_of_time)


def try_input(run: Callable[[Path], None], path: Path) -> str | None:
    """Let a target read a file.

    Args:
        run: the target; it raises AssertionError where nonsense was accepted.
        path: the file, in the scratch folder.

    Returns:
        what is wrong; None for a result, or one sentence that names what is wrong with the file.
    """
    _trespasses.clear()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    finding = None
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    try:
        run(path)
    except UserError as error:
        finding = _check_sentence(str(error))
    except OutOfTimeError:
        finding = f"hang: more than {CPU_SECONDS} s of processor time"
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)
        place = next((frame for frame in reversed(last) if "/speechrnn/" in frame.filename), last[-1])
        where = f"{Path(place.filename).name}:{place.lineno}"
        finding = f"{type(error).__name__} in {where}: {' '.join(str(error).split())[:200]}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    if grown > MEMORY:
        finding = f"memory: {grown / 2**20:.0f} MiB"
    if _trespasses:
        finding = _trespasses[0]
    return finding


def _check_sentence(text: str) -> str | None:
    if len(text) > LONGEST_MESSAGE:
        return f"message: {len(text)} characters: {text[:80]!r}"
    if "\n" in text.strip():
        return f"message: several lines: {text[:120]!r}"
    return None


def _out_of_time(number: int, frame: FrameType | None) -> None:
    raise OutOfTimeError


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        path, _, flags = arguments
        if isinstance(flags, int) and flags & _WRITING and isinstance(path, (str, bytes, os.PathLike)):
            _check_place(event, path)
    elif event in _CHANGES:
        for path in arguments[:2]:
            if isinstance(path, (str, bytes, os.PathLike)):
                _check_place(event, path)
    elif event in _CODE and not _harmless(event, arguments):
        _trespasses.append(f"code: {event} {arguments!r}"[:200])


def _check_place(event: str, path: Any) -> None:
    where = os.path.realpath(os.fsdecode(path))
    if _scratch is None or where.startswith(f"{_scratch}{os.sep}") or where in (str(_scratch), "/dev/null"):
        return
    if "__pycache__" not in where:
        _trespasses.append(f"written outside: {event} {where!r}"[:300])


def _harmless(event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "marshal.loads":  # of the import of a module
        return True
    if event == "ctypes.dlopen":
        return True
    if event == "pickle.find_class":
        return str(arguments[0]).split(".")[0] in ("torch", "collections", "numpy")
    return False
