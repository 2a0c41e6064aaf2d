"""Work on a Ray cluster.

Each worker is a Ray actor that loads the model once. Chunks go to actors directly, rather than through Ray Data: that
wants all items before it begins (a driver cannot hold a billion prompts), and gives the work of an actor that died to
the next one for ever, so that one bad file would end a cluster worker by worker.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import re
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
from speechrnn.jobs.executors.crew import DEPTH, Died, Done, Event, Failed, Ready, Refused, least_busy, serve, work
from speechrnn.jobs.executors.ledger import Ledger
from speechrnn.jobs.executors.work import Chunk, MakeWorker

REACH = 5.0  # s that a cluster has to answer
LOOK = 2.0  # s between two looks at how large the cluster is
NOTICE = 20.0  # s without a worker until the user is told
STORE = 2**28  # bytes of the object store of a cluster of our own: what is on its way


class Ray:
    """Workers on all machines of a cluster, or on this one."""

    def __init__(self, address: str | None, workers: int | None, cpus: int, gpus: float, chunk: int) -> None:
        """See `ExecutorOptions`; `cpus` and `gpus` are each worker's.

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
            crew = RayCrew(make_worker, ordered, self.workers, self.cpus, self.gpus)
            yield from work(crew, Ledger(items, self.chunk, ordered), lambda: self.stopping)

    def stop(self) -> None:
        """See `Executor`."""
        self.stopping = True


class Actor:
    """What stands on a node: loads, and works on chunks in a thread of its own while others come in."""

    def __init__(self, folder: str, gpus: float) -> None:
        """`folder`: where the driver is, whose paths may begin there; `gpus`: those that it was given."""
        with contextlib.suppress(OSError):  # there is none here: then what lacks is told by name
            os.chdir(folder)
        if not gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # those of the node are other actors'
        self.chunks: queue.SimpleQueue[Chunk | None] = queue.SimpleQueue()
        self.waiting: dict[int, Future[Event]] = {}  # by the place of their chunk
        self.end: Event | None = None  # why no more is done

    def node(self) -> str:
        """The id of the node."""
        import ray

        return str(ray.get_runtime_context().get_node_id())

    def load(self, make_worker: MakeWorker, ordered: bool) -> Event:
        """Gets ready."""
        try:
            worker = make_worker()
        except Exception as error:
            return told(error)

        def thread() -> None:
            try:
                serve(worker, self.chunks, lambda done: self.waiting.pop(done.place).set_result(done), ordered)
            except Exception as error:
                self.end = told(error)
                for future in list(self.waiting.values()):
                    future.set_result(self.end)

        threading.Thread(target=thread, daemon=True).start()
        return Ready()

    def do(self, chunk: Chunk) -> Event:
        """Works on a chunk, when those before it are done."""
        future: Future[Event] = Future()
        self.waiting[chunk.place] = future
        self.chunks.put(chunk)
        return self.end or future.result()


@dataclass
class Member:
    """An actor as the driver knows it, and what it has to do."""

    handle: Any
    node: str | None = None  # its id, when the actor stands
    loaded: bool = False
    chunks: dict[int, Chunk] = field(default_factory=dict)  # by their place


class RayCrew:
    """The actors of one run."""

    def __init__(self, make_worker: MakeWorker, ordered: bool, workers: int | None, cpus: int, gpus: float) -> None:
        """`workers`: None: as many as there is room for; `cpus`, `gpus`: of each."""
        import ray

        self.make_worker = ray.put(make_worker)
        self.ordered = ordered
        self.workers = workers
        self.cpus = cpus
        self.gpus = gpus
        self.members: list[Member] = []
        self.calls: dict[Any, Member] = {}  # by what Ray calls their results
        self.room = 1  # workers that the cluster has room for
        self.looked = -LOOK  # when that was found out
        self.began = time.monotonic()
        self.told = False

    @property
    def size(self) -> int:
        """See `Crew`."""
        if self.workers is None and time.monotonic() - self.looked > LOOK:
            self.room = max(1, sum(self.fits(node["Resources"]) for node in nodes() if node["Alive"]))
            self.looked = time.monotonic()
        return self.workers or self.room

    def fits(self, resources: dict[str, float]) -> int:
        """How many workers a node with such resources holds."""
        count = int(resources.get("CPU", 0) // self.cpus)
        return min(count, int(resources.get("GPU", 0) / self.gpus)) if self.gpus else count

    def hire(self, wanted: int) -> None:
        """See `Crew`."""
        import ray

        for _ in range(min(wanted, self.size) - len(self.members)):
            kind = ray.remote(Actor).options(
                num_cpus=self.cpus, num_gpus=self.gpus, max_concurrency=DEPTH + 1, scheduling_strategy="SPREAD"
            )
            member = Member(kind.remote(str(Path.cwd()), self.gpus))
            self.members.append(member)
            self.calls[member.handle.node.remote()] = member
            self.calls[member.handle.load.remote(self.make_worker, self.ordered)] = member

    def has_room(self, suspect: bool) -> bool:
        """See `Crew`."""
        return least_busy(self.members, suspect) is not None

    def give(self, chunk: Chunk) -> None:
        """See `Crew`."""
        member = least_busy(self.members, chunk.tries > 0)
        if member is None:
            raise RuntimeError("no worker has room")
        member.chunks[chunk.place] = chunk
        self.calls[member.handle.do.remote(chunk)] = member

    def wait(self) -> None:
        """See `Crew`."""
        import ray

        while not ray.wait(list(self.calls), num_returns=1, timeout=LOOK)[0]:
            if self.told or any(member.loaded for member in self.members) or time.monotonic() - self.began < NOTICE:
                continue
            print(
                f"speechrnn: the cluster has not given us a worker with {self.cpus} CPUs and {self.gpus:g} GPUs yet; "
                "waiting (`ray status` says what it has).",
                file=sys.stderr,
            )
            self.told = True

    def events(self) -> list[Event]:
        """See `Crew`."""
        import ray
        from ray.exceptions import RayError

        found: list[Event] = []
        ready, _ = ray.wait(list(self.calls), num_returns=len(self.calls), timeout=0)
        for call in ready:
            member = self.calls.pop(call, None)
            if member is None:  # of an actor that has just been found dead
                continue
            try:
                said = ray.get(call)
            except RayError as error:
                found.append(self.buried(member, error))
                continue
            if isinstance(said, str):
                member.node = said
                continue
            if isinstance(said, Ready):
                member.loaded = True
            elif isinstance(said, Done):
                del member.chunks[said.place]
            elif isinstance(said, Refused):
                said = Refused(f"{said.sentence} (This is what node {name_of(member.node)} of the cluster says.)")
            found.append(said)
        return found

    def buried(self, member: Member, error: Exception) -> Event:
        """Takes a dead actor off the list; says what it leaves."""
        import ray

        self.members.remove(member)
        self.calls = {call: one for call, one in self.calls.items() if one is not member}
        with contextlib.suppress(Exception):
            ray.kill(member.handle)
        lacking = re.search(r"No module named '([^']+)'", str(error))
        if lacking:
            return Refused(
                f"Node {name_of(member.node)} of the cluster has no Python module {lacking[1]}; install the same "
                "version of speechrnn on each machine: pip install 'speechrnn[cluster]'."
            )
        why = " because memory ran out" if "OutOfMemory" in f"{type(error).__name__} {error}" else ""
        return Died(tuple(member.chunks), f"Its worker on node {name_of(member.node)} died{why}", not member.loaded)

    def close(self) -> None:
        """See `Crew`."""
        import ray

        for member in self.members:
            with contextlib.suppress(Exception):  # the cluster may be gone
                ray.kill(member.handle)


def told(error: Exception) -> Event:
    """What went wrong in a worker."""
    return Refused(str(error)) if isinstance(error, UserError) else Failed(traceback.format_exc())


def nodes() -> list[dict[str, Any]]:
    """The nodes of the cluster, dead ones too."""
    import ray

    return list(ray.nodes())


def name_of(node: str | None) -> str:
    """What people call a node: the name that it was started with, and its host."""
    for one in nodes():
        if one["NodeID"] == node:
            name, host = one["NodeName"], one["NodeManagerHostname"]
            return host if name in (host, one["NodeManagerAddress"]) else f"{name} ({host})"
    return "unknown"


@contextlib.contextmanager
def connected(address: str | None, cores: int | None) -> Iterator[None]:
    """A connection to the cluster, or one of our own with so many cores; none is made where this process has one.

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
    try:
        if address is None:
            os.environ.setdefault("RAY_worker_niceness", "0")  # at Ray's 15, workers starve beside any other work
            ray.init("local", num_cpus=cores, object_store_memory=STORE, _node_ip_address="127.0.0.1", **quiet)
        else:
            del quiet["include_dashboard"]
            ray.init(reachable(address), **quiet)
    except AuthenticationError as error:
        raise UserError(lets_nobody_in(address)) from error
    except (ConnectionError, OSError) as error:
        raise UserError(
            f"No Ray cluster answers at executor.address={address}: start one with `ray start --head`, and "
            "`ray start --address=HOST:6379` on each other machine."
        ) from error
    except RuntimeError as error:
        if "AuthToken" in str(error):
            raise UserError(lets_nobody_in(address)) from error
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise UserError(f"The Ray cluster at executor.address={address} cannot be used: {reason}.") from error
    with hushed():
        try:
            yield
        finally:
            ray.shutdown()  # which tells, too


def lets_nobody_in(address: str | None) -> str:
    """The sentence for a cluster with a token that we do not have."""
    return (
        f"The Ray cluster at executor.address={address} wants its token: copy the one of its head to this machine, or "
        "give it as the environment variable RAY_AUTH_TOKEN."
    )


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Keeps Ray from telling on our stdout of each worker that died, for which it has no switch; our results say it."""
    from ray._private import worker

    tell = getattr(worker, "print_worker_logs", None)
    worker.print_worker_logs = lambda *_: None
    try:
        yield
    finally:
        if tell is not None:
            worker.print_worker_logs = tell


def reachable(address: str) -> str:
    """The address, if somebody listens there: Ray itself would try for minutes.

    Raises:
        OSError: nobody does.
    """
    if address == "auto":
        last = Path(os.environ.get("RAY_TMPDIR", "/tmp"), "ray", "ray_current_cluster")  # written by `ray start`
        address = os.environ.get("RAY_ADDRESS") or (last.read_text().strip() if last.exists() else address)
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if port.isdecimal():
        socket.create_connection((host, int(port)), REACH).close()
    return address
