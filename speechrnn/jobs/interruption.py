"""Ctrl-C and SIGTERM while a job runs."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

GRACE_SECONDS = 30.0  # seconds that work in progress may take after the first signal


class Interruption:
    """Let the first Ctrl-C or SIGTERM end a job in order, and the second one end the process.

    Use as a context manager, in the main thread; elsewhere it does nothing.

    Attributes:
        requested: time of the first signal, by time.monotonic(); None before.
    """

    def __init__(self, on_request: Callable[[], None] = lambda: None) -> None:
        """
        Args:
            on_request: called at the first signal.
        """
        self.requested: float | None = None
        self._on_request = on_request
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested is not None:
            raise KeyboardInterrupt
        self.requested = time.monotonic()
        self._on_request()

    @property
    def expired(self) -> bool:
        """Return whether work in progress has had its time."""
        return self.requested is not None and time.monotonic() - self.requested > GRACE_SECONDS
