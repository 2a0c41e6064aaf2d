"""A Ray cluster of two nodes on this machine, each started as a user would start it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

STORE = 150_000_000  # bytes of each node's object store
HASTE = {  # a node that is gone is noticed in 2 s instead of 30; workers do not starve beside other tests
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_worker_niceness": "0",
}


class Node:
    """`ray start --block` and all that it starts."""

    def __init__(self, log: Path, variables: Mapping[str, str], *arguments: str) -> None:
        tests = Path(__file__).parents[1]
        environment = {**os.environ, **variables, "PYTHONPATH": f"{tests}:{tests.parent}", "OMP_NUM_THREADS": "1"}
        options = ["--num-cpus=1", f"--object-store-memory={STORE}", "--disable-usage-stats", "--block"]
        command = [str(Path(sys.executable).with_name("ray")), "start", *arguments, *options]
        with log.open("ab") as file:
            self.process = subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT)

    def kill(self) -> None:
        """As a power cut would."""
        for process in [*descendants(self.process.pid), self.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.process.wait()


def descendants(process: int) -> list[int]:
    """The processes that a process has started, and those that these have started."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [process]
    for entry in found:
        found += [child for child, parent in parents.items() if parent == entry]
    return found[1:]


@contextlib.contextmanager
def cluster(folder: Path, settings: Mapping[str, str] = HASTE) -> Iterator[tuple[str, Node, dict[str, str]]]:
    """A head and another node with a core each; gives the address, that node, and the variables that let one in.

    Args:
        folder: for the log.
        settings: of Ray, as variables of the environment.
    """
    if importlib.util.find_spec("ray") is None:  # not imported here: Ray would look for its token now, and only now
        pytest.skip("Ray is not installed: pip install 'speechrnn[cluster]'")
    if not Path("/proc").is_dir():
        pytest.skip("the processes of a node are found in /proc, which this system lacks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "ray.log"
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    local = "--node-ip-address=127.0.0.1"
    nodes = [
        Node(
            log,
            {**settings, **token},
            "--head",
            local,
            f"--port={port}",
            "--include-dashboard=false",
            "--node-name=head",
        )
    ]
    try:
        patience = time.monotonic() + 60
        while nodes[0].process.poll() is None and time.monotonic() < patience:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            time.sleep(0.1)
        nodes.append(Node(log, {**settings, **token}, f"--address=127.0.0.1:{port}", local, "--node-name=other"))
        while log.read_bytes().count(b"Ray runtime started") < 2:
            if time.monotonic() > patience:
                pytest.fail(f"the cluster has not come up: {log.read_text()}")
            time.sleep(0.1)
        yield f"127.0.0.1:{port}", nodes[1], token
    finally:
        for node in nodes:
            node.kill()
