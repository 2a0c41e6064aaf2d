"""A stack of its own for signal handlers."""

from __future__ import annotations

import faulthandler
import os
import threading
from pathlib import Path


def use_signal_stack() -> None:
    """Let the signal handlers of the main thread run on a stack of their own.

    While oneDNN, with which torch computes an LSTM on a CPU, multiplies matrices, the stack pointer leads into the heap
    (oneDNN issue 4845; torch 2.11 has that version). A handler that runs there, as Python's does at Ctrl-C, overwrites
    the heap, and the process ends in "corrupted size vs. prev_size" or computes nonsense. Python's handlers run on the
    stack that `faulthandler` allocates.

    Does nothing outside the main thread: signals are delivered to that one.
    """
    if faulthandler.is_enabled() or threading.current_thread() is not threading.main_thread():
        return
    try:
        faulthandler.enable()
    except (AttributeError, RuntimeError, ValueError, OSError):  # standard error is closed, or is no file
        faulthandler.enable(os.open(Path(os.devnull), os.O_WRONLY))
