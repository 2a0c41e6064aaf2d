"""Claim: two Ray nodes do nearly twice the work of one, and the cluster costs each file a few milliseconds.

`nodes`: AN4's test recordings, over and over, transcribed on a cluster of two nodes with a core each (`ray start`, as
docs/scaling.md has it, both on this machine, which must have two cores to spare), by both of them and by one.
`overhead_a_file`: the same files by one worker of the cluster and by the local executor with one thread; a ratio of 0.9
says that a file takes 1 / 0.9 times as long there. Starting and loading are left out: on the cluster the clock starts
when the first quarter of the results is there, here when the model is loaded. --model says which model, otherwise it is
an untrained one of the AN4 experiment's shape.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from an4 import ROOT, save_untrained, test_files
from timing import machine, parser, result, stop

from speechrnn.jobs.executors import ExecutorOptions, make_executor
from speechrnn.jobs.executors.ray import reachable
from speechrnn.jobs.inputs import Input
from speechrnn.jobs.transcription_worker import TranscriptionWorker
from speechrnn.transcription.options import TranscriptionOptions

STORE = 150_000_000  # bytes of each node's object store
STARTUP_TIMEOUT = 60.0  # s for the cluster to come up


def start(*arguments: str) -> subprocess.Popen[bytes]:
    """`ray start` with a core; it lives as long as the process."""
    options = ["--num-cpus=1", f"--object-store-memory={STORE}", "--disable-usage-stats", "--block"]
    command = [str(Path(sys.executable).with_name("ray")), "start", "--node-ip-address=127.0.0.1", *arguments, *options]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def cluster() -> Iterator[str]:
    """A cluster of two nodes, to which this process is connected; gives its address."""
    # A cluster lets in who knows its token; Ray reads it when it is imported.
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32), OMP_NUM_THREADS="1")
    import ray

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    nodes = [start("--head", f"--port={address.partition(':')[2]}", "--include-dashboard=false")]
    try:
        began = time.monotonic()
        nodes.append(start(f"--address={address}"))
        while not ray.is_initialized() or ray.cluster_resources().get("CPU", 0) < 2:
            with contextlib.suppress(ConnectionError, RuntimeError, OSError):
                if not ray.is_initialized():
                    reachable(address)
                    ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL)
            if time.monotonic() - began > STARTUP_TIMEOUT:
                stop("the two nodes have not found each other.")
            time.sleep(0.2)
        yield address
        ray.shutdown()
    finally:
        for node in reversed(nodes):
            node.terminate()  # which ends all that it has started
            node.wait()


def rate(options: ExecutorOptions, worker: TranscriptionWorker, items: list[Input]) -> float:
    """Files a second."""
    executor = make_executor(options, "cpu")
    if options.name == "local":
        loaded = worker()
        began, count = time.perf_counter(), len(items)
        for _ in executor.run(lambda: loaded, items):
            pass
        return count / (time.perf_counter() - began)
    began, count = 0.0, 0
    for done, _ in enumerate(executor.run(worker, items), start=1):
        if done == len(items) // 4:
            began, count = time.perf_counter(), len(items) - done
    return count / (time.perf_counter() - began)


def main() -> None:
    """Print both comparisons."""
    options = parser(__doc__, repeats=5)
    options.add_argument("--root", type=Path, default=ROOT, help="the AN4 corpus")
    options.add_argument("--model", type=Path, help="an acoustic model's directory")
    given = options.parse_args()
    print(machine(2))
    files = [file.resolve() for file in test_files(given.root)]
    repeats, times = (1, 1) if given.quick else (given.repeats, 10)
    with tempfile.TemporaryDirectory() as folder:
        items = []
        for number, file in enumerate(files * times):  # each once in a job, as paths are
            path = Path(folder) / f"{number}{file.suffix}"
            path.symlink_to(file)
            items.append(Input(path.stem, str(path)))
        model = given.model or Path(folder) / "model"
        if given.model is None:
            save_untrained(model)
        worker = TranscriptionWorker(model.resolve(), TranscriptionOptions(device="cpu", threads=1))
        with cluster() as address:
            sides = {
                "one": ExecutorOptions("ray", address=address, workers=1),
                "two": ExecutorOptions("ray", address=address, workers=2),
                "local": ExecutorOptions("local"),
            }
            rates: dict[str, list[float]] = {name: [] for name in sides}
            for _ in range(repeats):
                for name, side in sides.items():
                    rates[name].append(rate(side, worker, items))
    single, double, local = (median(rates[name]) for name in ("one", "two", "local"))
    print(f"{len(items)} files; on the cluster each takes {1000 * (1 / single - 1 / local):.2f} ms more than here")
    print(result("overhead_a_file", 1000 / single, 1000 / local, unit="ms"))
    print(result("nodes", double, single, unit="files/s", more_is_better=True))


if __name__ == "__main__":
    main()
