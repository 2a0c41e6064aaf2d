"""One attempt at a command: a forked process in a session of its own, which can be disturbed and watched.

A new interpreter needs seconds to import torch; a process that is forked from one that has, needs none. What a command
does before its imports writes nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import runpy
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

RECIPES = Path(__file__).parents[2] / "recipes"
LOST_SECONDS = 20.0  # after which a worker must have seen that its job is gone
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}


def import_everything() -> None:
    """Import what commands import, so that a forked process need not."""
    import hydra
    import lhotse
    import lightning.fabric
    import torch

    import speechrnn.cli.main
    import speechrnn.experiments.speech_to_text
    import speechrnn.experiments.text_prediction
    import speechrnn.generation.predictor
    import speechrnn.jobs.generation_job
    import speechrnn.jobs.listening
    import speechrnn.jobs.transcription_job
    import speechrnn.reports.speech
    import speechrnn.reports.text
    import speechrnn.training.events

    torch.set_num_threads(1)
    assert hydra and lhotse and lightning.fabric and speechrnn


class Attempt:
    """A running command.

    Attributes:
        pid: of the process, which leads a session and a process group of its own.
        status: of its end: exit status, negative for a signal; None while it runs.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        *,
        kill_at: int | None = None,
        full_at: int | None = None,
        protect_at: tuple[int, Path] | None = None,
        feed: Callable[[int], None] | None = None,
        find_workers: Callable[[], list[int]] | None = None,
    ) -> None:
        """
        Args:
            command: recipe and overrides.
            folder: working folder, which also gets the files `out`, `err` and `tmp/`.
            kill_at: the process kills itself before this operation on files below `folder`, from 1; None: it does not.
            full_at: no file can become longer from this operation on, as on a full disk; None: there is room.
            protect_at: nothing below a folder can be written from this operation on, in this process; None: it can.
            feed: is called in another process with the descriptor of a pipe that the command reads; None: no input.
            find_workers: finds the processes that do the work; None: the others of the session.
        """
        (folder / "tmp").mkdir(exist_ok=True)
        for name in ("out", "err"):
            (folder / name).write_bytes(b"")
        self.folder = folder
        self.workers = find_workers or self.children
        self.status: int | None = None
        sys.stdout.flush()
        self.pid = os.fork()
        if not self.pid:
            _run(command, folder, kill_at=kill_at, full_at=full_at, protect_at=protect_at, feed=feed)

    def poll(self) -> int | None:
        """Return the status, or None while the process runs."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status

    def wait(self, seconds: float) -> bool:
        """Wait so long at most; return whether the process runs still."""
        end = time.monotonic() + seconds
        while self.poll() is None:
            if time.monotonic() >= end:
                return True
            time.sleep(0.001)
        return False

    def send(self, number: signal.Signals, group: bool = False) -> bool:
        """Send a signal to the process or its group; return whether it still ran."""
        if self.poll() is not None:
            return False
        try:
            (os.killpg if group else os.kill)(self.pid, number)
        except ProcessLookupError:
            return False
        return True

    def children(self) -> list[int]:
        """Return the other processes of the session."""
        return [pid for pid in processes_of(self.pid) if pid != self.pid]

    def close(self) -> list[str]:
        """Wait until no process of the session is left; return what is wrong."""
        end = time.monotonic() + LOST_SECONDS
        while (left := processes_of(self.pid)) and time.monotonic() < end:
            time.sleep(0.005)
        if not left:
            return []
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        return [f"{len(left)} processes outlive their job by {LOST_SECONDS:.0f} s"]


def processes_of(session: int) -> list[int]:
    """Return the processes of a session that are no zombies."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(path.parent.name))
    return found


def _run(
    command: Sequence[str],
    folder: Path,
    *,
    kill_at: int | None,
    full_at: int | None,
    protect_at: tuple[int, Path] | None,
    feed: Callable[[int], None] | None,
) -> None:
    """Become the command; never return."""
    status = 70
    try:
        os.setsid()
        os.chdir(folder)
        _redirect(folder, feed, piped=full_at is not None)
        os.environ["TMPDIR"] = str(folder / "tmp")
        import tempfile

        tempfile.tempdir = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        if kill_at is not None:
            _act_at(kill_at, folder, lambda: os.kill(os.getpid(), signal.SIGKILL))
        if full_at is not None:
            _act_at(full_at, folder, fill_disk)
        if protect_at is not None:
            _act_at(protect_at[0], folder, lambda: protect(protect_at[1]))
        recipe, *overrides = command
        script = str(RECIPES / f"{recipe}.py")
        sys.argv = [script, *overrides]
        runpy.run_path(script, run_name="__main__")
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except KeyboardInterrupt:  # before the command could prepare for it, which in a process of its own is as short
        status = 130
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            _leave()
        os._exit(status)


def _leave() -> None:
    """Do what an interpreter does at its end and os._exit does not."""
    import atexit
    import threading

    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()


def fill_disk() -> None:
    """Let no file of this process become longer, as on a full disk; the error is EFBIG instead of ENOSPC."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))


def protect(folder: Path) -> None:
    """Let this process write nothing below a folder from now on; what it has open stays so, as with permissions."""

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if _writes(event, arguments) and _is_below(arguments[0], folder):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(arguments[0]))

    sys.addaudithook(audit)


def _writes(event: str, arguments: tuple[Any, ...]) -> bool:
    """Return whether an event of the interpreter is about to change a file."""
    if event != "open":
        return event in CHANGES
    return isinstance(arguments[2], int) and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))


def _is_below(path: Any, folder: Path) -> bool:
    return isinstance(path, (str, os.PathLike)) and str(Path.cwd() / path).startswith(str(folder))


def _redirect(folder: Path, feed: Callable[[int], None] | None, piped: bool) -> None:
    """Open the standard streams: an empty or a fed input, and files; `piped`: files that another process writes."""
    source = os.open(os.devnull, os.O_RDONLY)
    if feed is not None:
        source, sink = os.pipe()
        if not os.fork():
            os.close(source)
            with contextlib.suppress(OSError):  # nobody reads any more
                feed(sink)
            os._exit(0)
        os.close(sink)
    os.dup2(source, 0)
    for name, number in (("out", 1), ("err", 2)):
        file = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        if piped:
            source, sink = os.pipe()
            if not os.fork():
                os.close(sink)
                while block := os.read(source, 1 << 16):
                    os.write(file, block)
                os._exit(0)
            os.close(source)
            os.close(file)
            file = sink
        os.dup2(file, number)
        os.close(file)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")


def _act_at(wanted: int, folder: Path, act: Callable[[], None]) -> None:
    """Let this process do something before an operation on files."""
    count = 0

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if _writes(event, arguments) and _is_below(arguments[0], folder):
            count += 1
            if count == wanted:
                act()

    sys.addaudithook(audit)
