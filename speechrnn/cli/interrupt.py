"""Ctrl-C on the command line: one line, exit status 130."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

from speechrnn.core.signals import use_signal_stack

INTERRUPTED = 130  # the exit status after Ctrl-C, as shells report it


def catch_interrupts() -> None:
    """Make Ctrl-C end the process with one printed line, at whatever moment it comes.

    It raises KeyboardInterrupt, except where that would be lost or do harm: while a module is imported (it would stay
    there half made), and in a finalizer or a callback (Python would print the exception and go on). There the process
    ends at once. A process that ignores Ctrl-C, as under nohup, goes on ignoring it.
    """
    use_signal_stack()
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _handle)
        if sys.unraisablehook is sys.__unraisablehook__:
            sys.unraisablehook = _handle_unraisable


def interrupted() -> int:
    """Print the line, let a further Ctrl-C end the process silently, and return the exit status."""
    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    with contextlib.suppress(OSError, ValueError, RuntimeError):  # a closed terminal, or within another print
        print("\nspeechrnn: interrupted; what is written stays: give the same command again.", file=sys.stderr)
    return INTERRUPTED


def _handle(number: int, frame: FrameType | None) -> None:
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            _end()
        frame = frame.f_back
    raise KeyboardInterrupt


def _handle_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    if isinstance(unraisable.exc_value, KeyboardInterrupt):
        _end()
    sys.__unraisablehook__(unraisable)


def _end() -> NoReturn:
    interrupted()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            stream.flush()
    os._exit(INTERRUPTED)
