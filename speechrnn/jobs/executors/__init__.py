"""Do the work of a job in this process, in several, or on a cluster.

    executor = make_executor(ExecutorOptions("processes"))
    for result in executor.run(make_worker, items, ordered=True): ...

`make_worker` loads a model once in each worker, and returns a function that takes items and yields a result for each.
Where a worker is killed, nothing is lost: its items go to another one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from speechrnn.jobs.executors.work import Chunk, Executor, Lost, MakeWorker, Worker

__all__ = ["Chunk", "Executor", "ExecutorOptions", "Lost", "MakeWorker", "Worker", "device_type", "make_executor"]


@dataclass(frozen=True)
class ExecutorOptions:
    """Choose an executor; the pages of conf/executor explain the keys, each page those that its executor reads.

    >>> ExecutorOptions("processes", workers=4, threads=2).worker_threads
    2

    Attributes:
        name: local: this process; processes: several on this machine; ray: a Ray cluster.
        workers: how many; None: one a GPU where there are any, else as many as there are cores for.
        chunk: most items handed to a worker at once.
        threads: processes: threads of each worker.
        address: ray: of the cluster, as host:port; "auto": the one that runs on this machine; None: starts one.
        cpus_per_worker: ray: cores that each worker takes, and its threads.
        gpus_per_worker: ray: GPUs that each worker takes, or a share of one.
    """

    name: Literal["local", "processes", "ray"] = "local"
    workers: int | None = field(default=None, metadata={"min": 1})
    chunk: int = field(default=256, metadata={"min": 1})
    threads: int = field(default=1, metadata={"min": 1})
    address: str | None = None
    cpus_per_worker: int = field(default=1, metadata={"min": 1})
    gpus_per_worker: float = field(default=0.0, metadata={"min": 0.0})

    @property
    def worker_threads(self) -> int | None:
        """Return the threads of each worker; None: as many as there are cores."""
        return {"local": None, "processes": self.threads, "ray": self.cpus_per_worker}[self.name]


def make_executor(options: ExecutorOptions, device: str = "auto") -> Executor:
    """Make the executor that the options name.

    >>> make_executor(ExecutorOptions("local"))
    <speechrnn.jobs.executors.local.LocalExecutor object at 0x...>

    Args:
        options: its settings.
        device: on which the workers will compute, as in the recipes' key; "cpu": no worker gets a GPU.

    Raises:
        UserError: a package is missing. A missing cluster is found when the work begins.
    """
    if options.name == "processes":
        from speechrnn.jobs.executors.processes import ProcessExecutor

        return ProcessExecutor(options.workers, threads=options.threads, chunk=options.chunk, device=device)
    if options.name == "ray":
        from speechrnn.jobs.executors.ray import RayExecutor

        return RayExecutor(
            options.address,
            options.workers,
            cpus=options.cpus_per_worker,
            gpus=options.gpus_per_worker,
            chunk=options.chunk,
        )
    from speechrnn.jobs.executors.local import LocalExecutor

    return LocalExecutor()


def device_type(device: str, executor: ExecutorOptions) -> str:
    """Return the kind of device on which the workers of an executor compute: "cpu", "cuda" or "mps".

    >>> device_type("cuda:1", ExecutorOptions("ray"))
    'cuda'
    """
    if executor.name != "ray":
        from speechrnn.core.device import find_device  # which loads torch

        return find_device(device).type
    if device != "auto":
        return device.partition(":")[0]
    return "cuda" if executor.gpus_per_worker else "cpu"
