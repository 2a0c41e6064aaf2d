"""A Ray cluster on this machine for the campaign: started with its first job, ended with the campaign."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import time
from pathlib import Path

from helpers.ray_cluster import cluster, descendants

ACTOR = b"ray::Actor"  # the name of a process that works for a job
SETTINGS = {"RAY_worker_niceness": "0"}  # no node is killed, so that a starved one has Ray's own 30 s
LOST_SECONDS = 60.0  # after which the workers of a job that is gone must have ended


def is_installed() -> bool:
    """Return whether Ray is."""
    return importlib.util.find_spec("ray") is not None


class Cluster:
    """Two nodes with a core each.

    Attributes:
        address: for executor.address; None until it is started.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address: str | None = None
        self._stack = contextlib.ExitStack()

    def start(self) -> str:
        """Start it, if it does not run; return its address. Commands that are started from now on may use it."""
        if self.address is None:
            self.address, _, token = self._stack.enter_context(cluster(self.folder, SETTINGS))
            os.environ.update(token)
        return self.address

    def close(self) -> None:
        """End all of its processes."""
        self._stack.close()

    def workers(self) -> list[int]:
        """Return the processes that work for a job, or are about to."""
        found = []
        for pid in descendants(os.getpid()):
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(ACTOR):
                    found.append(pid)
        return found

    def check_idle(self) -> list[str]:
        """Wait until no worker is left of jobs that have ended; return what is wrong."""
        end = time.monotonic() + LOST_SECONDS
        while (left := self.workers()) and time.monotonic() < end:
            time.sleep(0.05)
        return [f"{len(left)} Ray workers outlive their job by {LOST_SECONDS:.0f} s"] if left else []
