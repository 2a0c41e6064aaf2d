"""Do the work on a Ray cluster.

Each worker is a Ray actor that loads the model once. Chunks go to actors directly, rather than through Ray Data, which
needs all items before it begins (a driver cannot hold a billion prompts), and repeats the work of an actor that died on
the next one without end, so that one bad file would kill a cluster worker by worker.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import re
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speechrnn.core.errors import UserError
from speechrnn.jobs.executors.pool import DEPTH, Died, Done, Event, Failed, Pool, Ready, Refused, run_pool, serve
from speechrnn.jobs.executors.scheduler import Scheduler
from speechrnn.jobs.executors.work import Chunk, MakeWorker

CONNECT_TIMEOUT = 5.0  # seconds in which a cluster must answer
POLL_SECONDS = 2.0  # between two queries of the size of the cluster
NOTICE_SECONDS = 20.0  # without a worker until a message is printed
STORE = 2**28  # bytes of the object store of a cluster that we start: data in transit


class RayExecutor:
    """Run workers on all machines of a cluster, or on this one."""

    def __init__(self, address: str | None, workers: int | None, cpus: int, gpus: float, chunk: int) -> None:
        """
        Args:
            address: of the cluster, see `ExecutorOptions`.
            workers: how many; None: as many as fit.
            cpus: of each worker.
            gpus: of each worker.
            chunk: most items sent to a worker at once.

        Raises:
            UserError: Ray is not installed.
        """
        try:
            import ray  # noqa: F401
        except ImportError:
            raise UserError("executor=ray needs Ray: pip install 'speechrnn[cluster]'.") from None
        self.address = address
        self.workers = workers
        self.cpus = cpus
        self.gpus = gpus
        self.chunk = chunk
        self.stopping = False

    def run(self, make_worker: MakeWorker, items: Iterable[Any], ordered: bool = False) -> Iterator[Any]:
        """See `Executor`.

        Raises:
            UserError: there is no cluster at the address.
        """
        self.stopping = False
        cores = None if self.workers is None else max(os.cpu_count() or 1, self.workers * self.cpus)
        with connected(self.address, cores):
            pool = RayPool(make_worker, ordered, workers=self.workers, cpus=self.cpus, gpus=self.gpus)
            yield from run_pool(pool, Scheduler(items, self.chunk, ordered), lambda: self.stopping)

    def stop(self) -> None:
        """See `Executor`."""
        self.stopping = True


class Actor:
    """Run on a node: load, and work on chunks in a thread while others come in."""

    def __init__(self, folder: str, gpus: float) -> None:
        """
        Args:
            folder: where the driver runs, since its paths may be relative.
            gpus: how many the actor has.
        """
        with contextlib.suppress(OSError):  # not on this node: then the missing file is named
            os.chdir(folder)
        if not gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the node's GPUs belong to other actors
        self.chunks: queue.SimpleQueue[Chunk | None] = queue.SimpleQueue()
        self.waiting: dict[int, Future[Event]] = {}  # by place of the chunk
        self.end: Event | None = None  # why the actor has stopped

    def node(self) -> str:
        """Return the id of the node."""
        import ray

        return str(ray.get_runtime_context().get_node_id())

    def load(self, make_worker: MakeWorker, ordered: bool, _node: str) -> Event:
        """Load the worker, after the node was asked for: sentences about what cannot be loaded name it."""
        try:
            worker = make_worker()
        except Exception as error:
            return error_event(error)

        def thread() -> None:
            try:
                serve(worker, self.chunks, lambda done: self.waiting.pop(done.place).set_result(done), ordered=ordered)
            except Exception as error:
                self.end = error_event(error)
                for future in list(self.waiting.values()):
                    future.set_result(self.end)

        threading.Thread(target=thread, daemon=True).start()
        return Ready()

    def do(self, chunk: Chunk) -> Event:
        """Work on a chunk, when those before it are done."""
        future: Future[Event] = Future()
        self.waiting[chunk.place] = future
        self.chunks.put(chunk)
        return self.end or future.result()


@dataclass
class ActorHandle:
    """Represent an actor in the driver, with its chunks."""

    handle: Any
    node: str | None = None  # its id, when the actor runs
    loaded: bool = False
    chunks: dict[int, Chunk] = field(default_factory=dict)  # by their place


class RayPool(Pool[ActorHandle]):
    """Hold the actors of one run."""

    def __init__(self, make_worker: MakeWorker, ordered: bool, workers: int | None, cpus: int, gpus: float) -> None:
        """
        Args:
            make_worker: loads a worker.
            ordered: results come in the order of the items.
            workers: how many; None: as many as fit.
            cpus: of each worker.
            gpus: of each worker.
        """
        import ray

        self.make_worker = ray.put(make_worker)
        self.ordered = ordered
        self.limit = workers
        self.cpus = cpus
        self.gpus = gpus
        self.workers: list[ActorHandle] = []
        self.calls: dict[Any, ActorHandle] = {}  # by Ray's reference to their result
        self.capacity = 1  # workers that fit into the cluster
        self.polled = -POLL_SECONDS  # when that was found out
        self.began = time.monotonic()
        self.noticed = False

    @property
    def size(self) -> int:
        """See `Pool`."""
        if self.limit is None and time.monotonic() - self.polled > POLL_SECONDS:
            self.capacity = max(1, sum(self.fits(node["Resources"]) for node in nodes() if node["Alive"]))
            self.polled = time.monotonic()
        return self.limit or self.capacity

    def fits(self, resources: dict[str, float]) -> int:
        """Return how many workers fit on a node with such resources."""
        count = int(resources.get("CPU", 0) // self.cpus)
        return min(count, int(resources.get("GPU", 0) / self.gpus)) if self.gpus else count

    def start(self, wanted: int) -> None:
        """See `Pool`."""
        import ray

        for _ in range(min(wanted, self.size) - len(self.workers)):
            kind = ray.remote(Actor).options(
                num_cpus=self.cpus, num_gpus=self.gpus, max_concurrency=DEPTH + 1, scheduling_strategy="SPREAD"
            )
            worker = ActorHandle(kind.remote(str(Path.cwd()), self.gpus))
            self.workers.append(worker)
            node = worker.handle.node.remote()
            self.calls[node] = worker
            self.calls[worker.handle.load.remote(self.make_worker, self.ordered, node)] = worker

    def send(self, worker: ActorHandle, chunk: Chunk) -> None:
        """See `Pool`."""
        self.calls[worker.handle.do.remote(chunk)] = worker

    def wait(self) -> None:
        """See `Pool`."""
        import ray

        while not ray.wait(list(self.calls), num_returns=1, timeout=POLL_SECONDS)[0]:
            if (
                self.noticed
                or any(worker.loaded for worker in self.workers)
                or time.monotonic() - self.began < NOTICE_SECONDS
            ):
                continue
            print(
                f"speechrnn: the cluster has not given us a worker with {self.cpus} CPUs and {self.gpus:g} GPUs yet; "
                "waiting (`ray status` says what it has).",
                file=sys.stderr,
            )
            self.noticed = True

    def events(self) -> list[Event]:
        """See `Pool`."""
        import ray
        from ray.exceptions import RayError

        found: list[Event] = []
        ready, _ = ray.wait(list(self.calls), num_returns=len(self.calls), timeout=0)
        for call in ready:
            worker = self.calls.pop(call, None)
            if worker is None:  # the actor has just been found dead
                continue
            try:
                event = ray.get(call)
            except RayError as error:
                found.append(self._remove_dead(worker, error))
                continue
            if isinstance(event, str):
                worker.node = event
                continue
            if isinstance(event, Ready):
                worker.loaded = True
            elif isinstance(event, Done):
                del worker.chunks[event.place]
            elif isinstance(event, Refused):
                event = Refused(f"{event.sentence} (This is what node {node_name(worker.node)} of the cluster says.)")
            found.append(event)
        return found

    def _remove_dead(self, worker: ActorHandle, error: Exception) -> Event:
        """Remove a dead actor; return the event with its chunks."""
        import ray

        self.workers.remove(worker)
        self.calls = {call: other for call, other in self.calls.items() if other is not worker}
        with contextlib.suppress(Exception):
            ray.kill(worker.handle)
        lacking = re.search(r"No module named '([^']+)'", str(error))
        if lacking:
            return Refused(
                f"Node {node_name(worker.node)} of the cluster has no Python module {lacking[1]}; install the same "
                "version of speechrnn on each machine: pip install 'speechrnn[cluster]'."
            )
        why = " because memory ran out" if "OutOfMemory" in f"{type(error).__name__} {error}" else ""
        return Died(tuple(worker.chunks), f"Its worker on node {node_name(worker.node)} died{why}", not worker.loaded)

    def close(self) -> None:
        """See `Pool`."""
        import ray

        for worker in self.workers:
            with contextlib.suppress(Exception):  # the cluster may be gone
                ray.kill(worker.handle)


def error_event(error: Exception) -> Event:
    """Return the event for an exception in a worker."""
    return Refused(str(error)) if isinstance(error, UserError) else Failed(traceback.format_exc())


def nodes() -> list[dict[str, Any]]:
    """Return the nodes of the cluster, dead ones too."""
    import ray

    return list(ray.nodes())


def node_name(node: str | None) -> str:
    """Return the name that a node was started with, and its host."""
    for entry in nodes():
        if entry["NodeID"] == node:
            name, host = entry["NodeName"], entry["NodeManagerHostname"]
            return host if name in (host, entry["NodeManagerAddress"]) else f"{name} ({host})"
    return "unknown"


@contextlib.contextmanager
def connected(address: str | None, cores: int | None) -> Iterator[None]:
    """Connect to the cluster, or start one with so many cores; a connection that this process has is used.

    Raises:
        UserError: there is no cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray
    from ray.exceptions import AuthenticationError

    if ray.is_initialized():
        yield
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "include_dashboard": False}
    handler = signal.getsignal(signal.SIGTERM)
    try:
        if address is None:
            os.environ.setdefault("RAY_worker_niceness", "0")  # at Ray's 15, other work would stop the workers
            ray.init("local", num_cpus=cores, object_store_memory=STORE, _node_ip_address="127.0.0.1", **quiet)
        else:
            del quiet["include_dashboard"]
            ray.init(reachable(address), **quiet)
        if callable(handler) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray has put one in its place that ends the process at once
    except AuthenticationError as error:
        raise UserError(token_missing(address)) from error
    except (ConnectionError, OSError) as error:
        raise UserError(
            f"No Ray cluster answers at executor.address={address}: start one with `ray start --head`, and "
            "`ray start --address=HOST:6379` on each other machine."
        ) from error
    except Exception as error:  # Ray raises the bare class where a node does not start in time
        if "AuthToken" in str(error):
            raise UserError(token_missing(address)) from error
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        where = (
            "Ray cannot be started here"
            if address is None
            else f"The Ray cluster at executor.address={address} cannot be used"
        )
        raise UserError(f"{where}: {reason}.") from error
    with worker_logs_off():
        try:
            yield
        finally:
            ray.shutdown()  # which prints, too


def token_missing(address: str | None) -> str:
    """Return the sentence for a cluster with a token that we do not have."""
    return (
        f"The Ray cluster at executor.address={address} wants its token: copy the one of its head to this machine, or "
        "give it as the environment variable RAY_AUTH_TOKEN."
    )


@contextlib.contextmanager
def worker_logs_off() -> Iterator[None]:
    """Keep Ray from printing on our stdout about each worker that died, for which it has no switch."""
    from ray._private import worker

    print_logs = getattr(worker, "print_worker_logs", None)
    worker.print_worker_logs = lambda *_: None
    try:
        yield
    finally:
        if print_logs is not None:
            worker.print_worker_logs = print_logs


def reachable(address: str) -> str:
    """Return the address, resolved, if a cluster answers there; Ray itself would try for minutes.

    Raises:
        OSError: no cluster answers.
    """
    if address == "auto":
        last = Path(os.environ.get("RAY_TMPDIR", "/tmp"), "ray", "ray_current_cluster")  # written by `ray start`
        address = os.environ.get("RAY_ADDRESS") or (last.read_text().strip() if last.exists() else address)
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if port.isdecimal():
        socket.create_connection((host, int(port)), CONNECT_TIMEOUT).close()
    return address
