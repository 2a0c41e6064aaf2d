"""Disturbances of a running command, as by a user, a system that is short of memory, and a power cut."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos.attempt import Attempt

OPERATIONS = 60  # on files before which a process is killed, at most
PAUSE_SECONDS = 0.2  # between two signals, at most
APPENDED = ("job.jsonl", "hypotheses.jsonl.partial", "all.jsonl.partial", "all.jsonl.job.jsonl")


@dataclass
class Plan:
    """Disturbances of an attempt.

    Attributes:
        kind: name of the disturbance.
        moment: when, as a share of the time that an undisturbed run takes.
        kill_at: operation on files before which the process kills itself; None: no such.
        full_at: operation on files from which on the disk is full; None: no such.
        protect_at: operation on files from which on the output can only be read; None: no such.
        seed: of what else is drawn.
    """

    kind: str
    moment: float
    kill_at: int | None
    full_at: int | None
    protect_at: int | None
    seed: int


Start = Callable[["int | None"], Attempt]


def draw_plan(draw: random.Random, kinds: Sequence[str]) -> Plan:
    """Draw what the next attempt meets."""
    kind = draw.choice(kinds)
    moment = draw.random() ** 0.5 * 0.95 if draw.random() < 0.7 else draw.random() * 0.2
    kill_at = draw.randrange(1, OPERATIONS) if kind in ("operation", "operations") else None
    full_at = draw.randrange(1, OPERATIONS) if kind == "full" else None
    protect_at = draw.randrange(1, OPERATIONS) if kind == "read-only" else None
    return Plan(kind, moment, kill_at, full_at=full_at, protect_at=protect_at, seed=draw.randrange(2**31))


def kinds_for(workers: bool, resumes: bool, ray: bool = False, inputs: bool = False) -> list[str]:
    """Return the disturbances that a job can meet; Ray writes files of its own, which a full disk would disturb."""
    kinds = ["kill", "kill", "operation", "operation", "operations", "twice", "SIGTERM", "SIGINT", "two SIGINT", "stop"]
    if not ray:
        kinds += ["full", "full"]
    if resumes:
        kinds += ["power", "both", "read-only"]
    if inputs:
        kinds += ["inputs"]
    if workers:
        kinds += ["worker", "worker", "driver"] * (3 if ray else 1)
    return kinds


def apply(
    plan: Plan, attempt: Attempt, seconds: float, *, start: Start, output: Path, inputs: Sequence[Path] = ()
) -> tuple[int, list[str]]:
    """Disturb an attempt as planned, and wait for its end.

    Args:
        plan: what to do.
        attempt: the running command.
        seconds: that an undisturbed run takes.
        start: starts the same command again; it may kill itself at an operation.
        output: of the command.
        inputs: files that the command reads.

    Returns:
        How often it was disturbed, and what is wrong.
    """
    draw = random.Random(plan.seed)
    at_operation = (plan.kill_at, plan.full_at, plan.protect_at) != (None, None, None)
    attempt.wait(LONGEST if at_operation else plan.moment * seconds)
    if plan.kind == "inputs":
        return _take_inputs(attempt, draw, start, output=output, inputs=inputs)
    if plan.kill_at is not None:
        count = int(attempt.status == -signal.SIGKILL)
        if plan.kind == "operations":  # again, soon after it has begun
            again = start(draw.randrange(1, 12))
            again.wait(LONGEST)
            count += int(again.status == -signal.SIGKILL)
        return count, []
    return _DISTURBANCES[plan.kind](attempt, draw, start, output)


LONGEST = 600.0  # seconds that a command may take, on a machine that is busy with other work


def _kill(attempt: Attempt, draw: random.Random, start: Start, output: Path) -> tuple[int, list[str]]:
    count = attempt.send(signal.SIGKILL, group=True)
    attempt.wait(LONGEST)
    return int(count), []


def _twice(attempt: Attempt, draw: random.Random, start: Start, output: Path) -> tuple[int, list[str]]:
    """Kill it, and what goes on at once, too."""
    count, _ = _kill(attempt, draw, start, output=output)
    again = start(None)
    again.wait(draw.random() * PAUSE_SECONDS)
    more, _ = _kill(again, draw, start, output=output)
    return count + more, []


def _signal(number: signal.Signals, times: int = 1) -> Callable[..., tuple[int, list[str]]]:
    """Return a disturbance that asks the process to end."""

    def send(attempt: Attempt, draw: random.Random, start: Start, output: Path) -> tuple[int, list[str]]:
        count = 0
        for _ in range(times):
            count += attempt.send(number)
            attempt.wait(draw.random() * PAUSE_SECONDS)
        if attempt.wait(LONGEST):
            attempt.send(signal.SIGKILL, group=True)
            attempt.wait(LONGEST)
            return count, [f"{number.name} does not end it"]
        return count, []

    return send


def _stop(attempt: Attempt, draw: random.Random, start: Start, output: Path) -> tuple[int, list[str]]:
    """Stop the group as Ctrl-Z does, and let it go on; or kill it while it stands."""
    count = attempt.send(signal.SIGSTOP, group=True)
    attempt.wait(draw.random() * PAUSE_SECONDS)
    if draw.random() < 0.5:
        return _kill(attempt, draw, start, output=output)
    attempt.send(signal.SIGCONT, group=True)
    attempt.wait(LONGEST)
    return int(count), []


def _power(attempt: Attempt, draw: random.Random, start: Start, output: Path) -> tuple[int, list[str]]:
    """Kill it; of what was written last, zeros or a torn line are left."""
    count, _ = _kill(attempt, draw, start, output=output)
    for name in APPENDED:
        path = output / name
        if path.is_file() and (size := path.stat().st_size) > 1500:  # the header is on the disk before the work begins
            lost = draw.randrange(min(600, size - 1400))
            with path.open("r+b") as file:
                file.truncate(size - lost)
                if draw.random() < 0.5:
                    file.truncate(size)  # zeros
    return count, []


def _both(attempt: Attempt, draw: random.Random, start: Start, output: Path) -> tuple[int, list[str]]:
    """Give the same command while it runs: one of the two does the work, the other says so."""
    running = attempt.poll() is None
    again = start(None)
    attempt.wait(LONGEST)
    again.wait(LONGEST)
    return int(running), []


def _full(attempt: Attempt, draw: random.Random, start: Start, output: Path) -> tuple[int, list[str]]:
    """Let it meet a full disk, or an output that can only be read: it ends with a sentence, or was done before."""
    if attempt.wait(LONGEST):
        attempt.send(signal.SIGKILL, group=True)
        attempt.wait(LONGEST)
        return 1, ["it does not end although it cannot write"]
    while attempt.children():  # which writes what it printed
        time.sleep(0.005)
    sentence = (attempt.folder / "err").read_text(errors="replace").strip().rpartition("\n")[2]
    if attempt.status == 2 and not sentence.startswith("speechrnn: "):
        return 1, [f"what cannot be written is no sentence: {sentence}"]
    return int(attempt.status != 0), []


def _take_inputs(
    attempt: Attempt, draw: random.Random, start: Start, output: Path, inputs: Sequence[Path]
) -> tuple[int, list[str]]:
    """Take a few recordings, or the prompts, away while it runs and when it is given again; then they are back.

    Some recordings are damaged instead: all of them while the journal does not list them, which says their order.
    """
    count, listed = int(attempt.poll() is None), (output / "job.jsonl").is_file()
    chosen = draw.sample(list(inputs), min(3, len(inputs)))
    away = [path.with_name(f".{path.name}.away") for path in chosen]
    for path, place in zip(chosen, away, strict=True):
        path.rename(place)
        if len(inputs) > 1 and not (listed and draw.random() < 0.5):
            path.write_bytes(b"RIFF, and no more of it")
    try:
        attempt.wait(LONGEST)
        again = start(None)
        again.wait(LONGEST)
    finally:
        for path, place in zip(chosen, away, strict=True):
            place.replace(path)
    if again.status not in (0, 1, 2):
        return count + 1, [f"without its inputs it ends with {again.status}"]
    return count + 1, []


def _worker(attempt: Attempt, draw: random.Random, start: Start, output: Path) -> tuple[int, list[str]]:
    """Kill a worker process; another one does its work."""
    while not (workers := attempt.workers()):
        if not attempt.wait(PAUSE_SECONDS):
            return 0, []
    if attempt.poll() is not None:
        return 0, []
    try:
        os.kill(draw.choice(workers), signal.SIGKILL)
    except ProcessLookupError:
        return 0, []
    attempt.wait(LONGEST)
    return 1, []


def _driver(attempt: Attempt, draw: random.Random, start: Start, output: Path) -> tuple[int, list[str]]:
    """Kill the process that has the workers; they end by themselves."""
    count = attempt.send(signal.SIGKILL)
    attempt.wait(LONGEST)
    return int(count), []


_DISTURBANCES: dict[str, Callable[..., tuple[int, list[str]]]] = {
    "kill": _kill,
    "twice": _twice,
    "SIGTERM": _signal(signal.SIGTERM),
    "SIGINT": _signal(signal.SIGINT),
    "two SIGINT": _signal(signal.SIGINT, 2),
    "stop": _stop,
    "power": _power,
    "both": _both,
    "worker": _worker,
    "driver": _driver,
    "full": _full,
    "read-only": _full,
}
