"""Work in several processes of this machine."""

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
from speechrnn.jobs.executors.crew import Died, Done, Event, Failed, Ready, Refused, least_busy, serve, work
from speechrnn.jobs.executors.ledger import Ledger
from speechrnn.jobs.executors.work import Chunk, MakeWorker


class Processes:
    """Several workers, each in a process of its own with its own cores or GPU."""

    def __init__(self, workers: int | None, threads: int, chunk: int, device: str = "auto") -> None:
        """`workers`: None: one a GPU where there are any to work on, else cores / threads; `chunk`: most items."""
        self.gpus = visible_gpus() if device in ("auto", "cuda") else []
        self.workers = workers or len(self.gpus) or max(1, cores() // threads)
        self.threads = threads
        self.chunk = chunk
        self.stopping = False

    def run(self, make_worker: MakeWorker, items: Iterable[Any], ordered: bool = False) -> Iterator[Any]:
        """See `Executor`."""
        self.stopping = False
        crew = ProcessCrew(make_worker, ordered, [self.environment(number) for number in range(self.workers)])
        return work(crew, Ledger(items, self.chunk, ordered), lambda: self.stopping)

    def stop(self) -> None:
        """See `Executor`."""
        self.stopping = True

    def environment(self, number: int) -> dict[str, str]:
        """The variables of a worker that differ from ours."""
        variables = {"OMP_NUM_THREADS": str(self.threads)}
        if self.gpus:
            variables["CUDA_VISIBLE_DEVICES"] = self.gpus[number % len(self.gpus)]
        return variables


class Member:
    """A process with its end of the pipe, and what it has to do."""

    def __init__(self, number: int, make_worker: MakeWorker, ordered: bool, variables: Mapping[str, str]) -> None:
        """`number`: its place in the crew, which its successor takes."""
        spawn = multiprocessing.get_context("spawn")
        self.number = number
        self.pipe, end = spawn.Pipe()
        self.process: BaseProcess = spawn.Process(target=serve_pipe, args=(end, make_worker, ordered), daemon=True)
        self.chunks: dict[int, Chunk] = {}  # by their place
        self.loaded = False
        with deaf(), changed(variables):
            self.process.start()
        end.close()  # so that the pipe ends when the process does

    def messages(self) -> Iterator[Event]:
        """What it has sent, to the end of the pipe if it is gone."""
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
            yield Died(tuple(self.chunks), ending(self.process.exitcode), not self.loaded)


class ProcessCrew:
    """The processes of one run."""

    def __init__(self, make_worker: MakeWorker, ordered: bool, environments: list[dict[str, str]]) -> None:
        """`environments`: the variables of each worker."""
        self.make_worker = make_worker
        self.ordered = ordered
        self.environments = environments
        self.members: list[Member] = []

    @property
    def size(self) -> int:
        """See `Crew`."""
        return len(self.environments)

    def hire(self, wanted: int) -> None:
        """See `Crew`."""
        taken = {member.number for member in self.members}
        for number in sorted({*range(min(wanted, self.size))} - taken)[: max(0, wanted - len(taken))]:
            self.members.append(Member(number, self.make_worker, self.ordered, self.environments[number]))

    def has_room(self, suspect: bool) -> bool:
        """See `Crew`."""
        return least_busy(self.members, suspect) is not None

    def give(self, chunk: Chunk) -> None:
        """See `Crew`."""
        member = least_busy(self.members, chunk.tries > 0)
        if member is None:
            raise RuntimeError("no worker has room")
        member.chunks[chunk.place] = chunk
        with contextlib.suppress(OSError):  # it has just died, which its pipe will tell
            member.pipe.send(chunk)

    def wait(self) -> None:
        """See `Crew`."""
        wait([member.pipe for member in self.members])

    def events(self) -> list[Event]:
        """See `Crew`."""
        found: list[Event] = []
        for member in list(self.members):
            for event in member.messages():
                found.append(event)
                if isinstance(event, Died):
                    member.pipe.close()
                    self.members.remove(member)
        return found

    def close(self) -> None:
        """See `Crew`."""
        for member in self.members:
            member.process.kill()  # they have nothing to do any more, or nobody wants it
        for member in self.members:
            member.process.join()
            member.pipe.close()


def serve_pipe(pipe: Connection, make_worker: MakeWorker, ordered: bool) -> None:
    """The life of a worker process: loads, works on what comes down the pipe, and ends when the pipe does."""
    chunks: queue.SimpleQueue[Chunk | None] = queue.SimpleQueue()

    def listen() -> None:
        # In a thread, so that a driver with a long chunk to give and a worker with long results never wait for each
        # other, and so that a worker whose driver was killed ends at once.
        try:
            while True:
                chunks.put(pipe.recv())
        except (EOFError, OSError):
            os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    try:
        worker = make_worker()
        pipe.send(Ready())
        serve(worker, chunks, pipe.send, ordered)
    except UserError as error:
        pipe.send(Refused(str(error)))
    except OSError:  # nobody hears us any more
        pass
    except Exception:
        pipe.send(Failed(traceback.format_exc()))
    threading.Event().wait()  # until the driver has heard it


@contextlib.contextmanager
def deaf() -> Iterator[None]:
    """Processes that are started meanwhile do not hear Ctrl-C, which a terminal sends to all: we tell them."""
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
def changed(variables: Mapping[str, str]) -> Iterator[None]:
    """Other environment variables for processes that are started meanwhile: theirs is read before any line of ours."""
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


def ending(code: int | None) -> str:
    """How a process ended, as the beginning of a sentence; `code`: its exit status, negative for a signal."""
    if code is None or code >= 0:
        return f"Its worker ended with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    why = ", most likely because memory ran out" if name == "SIGKILL" else ""
    return f"Its worker was ended by {name}{why}"


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """The names by which CUDA_VISIBLE_DEVICES calls the GPUs that this process sees."""
    import torch

    count = torch.cuda.device_count()
    given = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return given[:count] if given else [str(number) for number in range(count)]
