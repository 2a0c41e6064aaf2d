"""Do the work in several processes of this machine.

The pools of concurrent.futures, multiprocessing and joblib (loky) are not used: there, a worker that dies breaks the
whole pool, or its task waits for ever. Here it is replaced, its chunk is tried again item by item, and only the item
that kills its workers is lost.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import threading
import traceback
from collections.abc import Iterable, Iterator, Mapping
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from speechrnn.core.errors import UserError
from speechrnn.jobs.executors.pool import Died, Done, Event, Failed, Pool, Ready, Refused, run_pool, serve
from speechrnn.jobs.executors.scheduler import Scheduler
from speechrnn.jobs.executors.work import Chunk, MakeWorker


class ProcessExecutor:
    """Run several workers, each in a process with its own cores or GPU."""

    def __init__(self, workers: int | None, threads: int, chunk: int, device: str = "auto") -> None:
        """
        Args:
            workers: how many; None: one for each GPU that is used, else cores / threads.
            threads: of each worker.
            chunk: most items sent to a worker at once.
            device: on which the workers compute; GPUs are used with "auto" and "cuda".
        """
        self.gpus = visible_gpus() if device in ("auto", "cuda") else []
        self.workers = workers or len(self.gpus) or max(1, cores() // threads)
        self.threads = threads
        self.chunk = chunk
        self.stopping = False

    def run(self, make_worker: MakeWorker, items: Iterable[Any], ordered: bool = False) -> Iterator[Any]:
        """See `Executor`."""
        self.stopping = False
        pool = ProcessPool(make_worker, ordered, [self.environment(number) for number in range(self.workers)])
        return run_pool(pool, Scheduler(items, self.chunk, ordered), lambda: self.stopping)

    def stop(self) -> None:
        """See `Executor`."""
        self.stopping = True

    def environment(self, number: int) -> dict[str, str]:
        """Return the environment variables of a worker that differ from ours."""
        variables = {"OMP_NUM_THREADS": str(self.threads)}
        if self.gpus:
            variables["CUDA_VISIBLE_DEVICES"] = self.gpus[number % len(self.gpus)]
        return variables


class WorkerProcess:
    """Hold a process, our end of its pipe, and its chunks."""

    def __init__(self, number: int, make_worker: MakeWorker, ordered: bool, variables: Mapping[str, str]) -> None:
        """
        Args:
            number: place in the pool, which its successor takes.
            make_worker: loads the worker.
            ordered: results come in the order of the items.
            variables: environment variables that differ from ours.
        """
        spawn = multiprocessing.get_context("spawn")
        self.number = number
        self.pipe, end = spawn.Pipe()
        self.process: BaseProcess = spawn.Process(target=serve_pipe, args=(end, make_worker, ordered), daemon=True)
        self.chunks: dict[int, Chunk] = {}  # by their place
        self.loaded = False
        with ctrl_c_blocked(), environment_changed(variables):
            self.process.start()
        end.close()  # so that the pipe ends when the process does

    def messages(self) -> Iterator[Event]:
        """Yield what it has sent; if it is gone, to the end of the pipe."""
        try:
            while self.pipe.poll():
                event = self.pipe.recv()
                if isinstance(event, Ready):
                    self.loaded = True
                elif isinstance(event, Done):
                    del self.chunks[event.place]
                yield event
        except (EOFError, OSError):
            self.process.join()
            yield Died(tuple(self.chunks), describe_exit(self.process.exitcode), not self.loaded)


class ProcessPool(Pool[WorkerProcess]):
    """Hold the processes of one run."""

    def __init__(self, make_worker: MakeWorker, ordered: bool, environments: list[dict[str, str]]) -> None:
        """
        Args:
            make_worker: loads a worker.
            ordered: results come in the order of the items.
            environments: variables of each worker that differ from ours.
        """
        self.make_worker = make_worker
        self.ordered = ordered
        self.environments = environments
        self.workers: list[WorkerProcess] = []

    @property
    def size(self) -> int:
        """See `Pool`."""
        return len(self.environments)

    def start(self, wanted: int) -> None:
        """See `Pool`."""
        taken = {worker.number for worker in self.workers}
        for number in sorted({*range(min(wanted, self.size))} - taken)[: max(0, wanted - len(taken))]:
            self.workers.append(
                WorkerProcess(number, self.make_worker, self.ordered, variables=self.environments[number])
            )

    def send(self, worker: WorkerProcess, chunk: Chunk) -> None:
        """See `Pool`."""
        with contextlib.suppress(OSError):  # it has just died, which its pipe will show
            worker.pipe.send(chunk)

    def wait(self) -> None:
        """See `Pool`."""
        wait([worker.pipe for worker in self.workers])

    def events(self) -> list[Event]:
        """See `Pool`."""
        found: list[Event] = []
        for worker in list(self.workers):
            for event in worker.messages():
                found.append(event)
                if isinstance(event, Died):
                    worker.pipe.close()
                    self.workers.remove(worker)
        return found

    def close(self) -> None:
        """See `Pool`."""
        for worker in self.workers:
            worker.process.kill()  # there is nothing left to do, or the results are not needed any more
        for worker in self.workers:
            worker.process.join()
            worker.pipe.close()


def serve_pipe(pipe: Connection, make_worker: MakeWorker, ordered: bool) -> None:
    """Run a worker process: load, work on the chunks of the pipe, and end when the pipe ends."""
    chunks: queue.SimpleQueue[Chunk | None] = queue.SimpleQueue()

    def receive() -> None:
        # In a thread: a driver that sends a long chunk and a worker that sends long results must not wait for each
        # other, and a worker whose driver was killed must end at once.
        try:
            while True:
                chunks.put(pipe.recv())
        except (EOFError, OSError):
            os._exit(0)

    threading.Thread(target=receive, daemon=True).start()
    try:
        worker = make_worker()
        pipe.send(Ready())
        serve(worker, chunks, pipe.send, ordered=ordered)
    except UserError as error:
        pipe.send(Refused(str(error)))
    except OSError:  # the driver is gone
        pass
    except Exception:
        pipe.send(Failed(traceback.format_exc()))
    threading.Event().wait()  # until the driver has read it


@contextlib.contextmanager
def ctrl_c_blocked() -> Iterator[None]:
    """Make processes that are started inside ignore Ctrl-C, which a terminal sends to all; the driver ends them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # which would let Ctrl-C in again when it is started later
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def environment_changed(variables: Mapping[str, str]) -> Iterator[None]:
    """Change environment variables for processes that are started inside; some are read before our code runs."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def describe_exit(code: int | None) -> str:
    """Return how a process ended, as the beginning of a sentence.

    >>> describe_exit(3)
    'Its worker ended with status 3'

    Args:
        code: exit status, negative for a signal.
    """
    if code is None or code >= 0:
        return f"Its worker ended with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    why = ", most likely because memory ran out" if name == "SIGKILL" else ""
    return f"Its worker was ended by {name}{why}"


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """Return the names of the GPUs that this process sees, as CUDA_VISIBLE_DEVICES has them."""
    import torch

    count = torch.cuda.device_count()
    given = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return given[:count] if given else [str(number) for number in range(count)]
