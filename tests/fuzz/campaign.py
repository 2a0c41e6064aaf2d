"""Campaigns of mutated inputs: each target in a child process of its own, watched by this one.

python -m fuzz --count 2000                     a new seed, which is printed
python -m fuzz --target flac --seed 7 --number 123 --keep finding.flac
                                                one input again, written to a file
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fuzz.targets import NAMES, find_target

TESTS = Path(__file__).parents[1]
FINDINGS = Path(__file__).parent / "findings"  # TARGET/SEED-NUMBER/FILE
ADDRESS_SPACE = 6 << 30  # bytes of a child process
WAIT_SECONDS = 300.0  # without a new input, though it takes no processor time
RESTARTS = 20  # of a target whose process ends, before it is given up


@dataclass
class Result:
    """Outcome of the inputs of a target.

    Attributes:
        inputs: how many were read.
        findings: kind -> numbers of the inputs.
    """

    target: str
    inputs: int = 0
    findings: dict[str, list[int]] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, finding: str, number: int) -> None:
        """Count a finding; messages that differ in numbers and names alone are of one kind."""
        self.findings.setdefault(kind(finding), []).append(number)


def kind(finding: str) -> str:
    """Return a finding without what differs from file to file.

    >>> kind("ValueError in a.py:7: no 'x' in 12 places")
    'ValueError in a.py:7'
    """
    return re.sub(r"0x[0-9a-f]+|\d{3,}", "#", finding.split(": ")[0] if " in " in finding else finding)[:120]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a campaign, one input, or (as a child process) a part of a target's inputs."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=2000, help="inputs of each target with a share of 1")
    parser.add_argument("--seed", type=int, default=None, help="of the mutations; printed")
    parser.add_argument("--target", action="append", choices=NAMES, help="only these; all by default")
    parser.add_argument("--seconds", type=float, default=None, help="stop a target after so long")
    parser.add_argument("--number", type=int, help="read this one input again, in this process")
    parser.add_argument("--keep", type=Path, help="write the input to this file")
    parser.add_argument("--findings", type=Path, default=FINDINGS, help="keep an input of each kind in this folder")
    parser.add_argument("--log", type=Path, help="add results to this file of JSON lines")
    parser.add_argument("--child", nargs=2, type=int, metavar=("FIRST", "COUNT"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    seed = time.time_ns() % 10**9 if given.seed is None else given.seed
    names = given.target or NAMES
    if given.child:
        return _child(names[0], seed, *given.child)
    if given.number is not None:
        return _single(names[0], seed, given.number, keep=given.keep)
    print(f"seed {seed}: python -m fuzz --target NAME --seed {seed} --number NUMBER reads one input again", flush=True)
    failed = 0
    print(f"{'target':14} {'inputs':>9} {'findings':>9}  kinds")
    for name in names:
        share = find_target(name).share
        result = run_target(name, seed, max(1, round(given.count * share)), seconds=given.seconds)
        failed += len(result.findings)
        print(
            f"{name:14} {result.inputs:9,} {sum(map(len, result.findings.values())):9,}  {len(result.findings)}",
            flush=True,
        )
        for what, numbers in result.findings.items():
            kept = keep(name, seed, numbers[0], folder=given.findings)
            print(f"    {what} ({len(numbers)} times, such as number {numbers[0]}: {kept})", flush=True)
        if given.log is not None:
            with given.log.open("a") as file:
                row = {"target": name, "seed": seed, "inputs": result.inputs, "findings": result.findings}
                file.write(json.dumps(row) + "\n")
    return 1 if failed else 0


def run_target(name: str, seed: int, count: int, seconds: float | None = None) -> Result:
    """Let child processes read `count` inputs; one that ends over an input is a finding, and the next goes on.

    Args:
        name: of the target.
        seed: of the mutations.
        count: inputs.
        seconds: after which no further input is begun; None: no limit.
    """
    result = Result(name)
    began, first, restarts = time.monotonic(), 0, 0
    while first < count and restarts <= RESTARTS and (seconds is None or time.monotonic() - began < seconds):
        last, ended = first - 1, ""
        for number, finding in _read_child(
            name, seed, first, count=count - first, seconds=seconds and began + seconds - time.monotonic()
        ):
            if finding is None:
                last = number
            elif number < 0:
                ended = finding
            else:
                result.add(finding, number)
        result.inputs += last + 1 - first
        first = last + 1
        if ended:
            restarts += 1
            result.add(ended, last)
        elif first < count:
            break
    result.seconds = time.monotonic() - began
    return result


def _read_child(
    name: str, seed: int, first: int, count: int, seconds: float | None
) -> Iterator[tuple[int, str | None]]:
    """Yield (number, None) for an input that is begun, (number, finding), and (-1, finding) where the process ends."""
    command = [sys.executable, "-X", "faulthandler", "-m", "fuzz", "--target", name, "--seed", str(seed)]
    environment = {**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}", "OMP_NUM_THREADS": "1"}
    environment |= {"OMP_WAIT_POLICY": "passive", "OPENBLAS_NUM_THREADS": "1"}
    child = subprocess.Popen(
        [*command, "--child", str(first), str(count)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd=TESTS.parent,
    )
    assert child.stdout is not None
    import selectors

    buffer, heard, began = b"", time.monotonic(), time.monotonic()
    stopped = False
    with selectors.DefaultSelector() as selector, child:
        selector.register(child.stdout, selectors.EVENT_READ)
        while True:
            if selector.select(5.0):
                block = os.read(child.stdout.fileno(), 1 << 16)
                if not block:
                    break
                heard = time.monotonic()
                *lines, buffer = (buffer + block).split(b"\n")
                for line in lines:
                    number, finding = json.loads(line)
                    yield number, finding
            if time.monotonic() - heard > WAIT_SECONDS:
                child.kill()
                yield -1, f"hang: nothing for {WAIT_SECONDS:.0f} s"
                child.wait()
                return
            if seconds is not None and time.monotonic() - began > seconds and not stopped:
                stopped = True
                child.terminate()
        status = child.wait()
    if status and not stopped:
        yield -1, f"crash: the process ended with status {status}"


def _child(name: str, seed: int, first: int, count: int) -> int:
    """Read inputs, and write what becomes of each to standard output."""
    import resource

    from fuzz.sandbox import confine, try_input

    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    output = os.dup(1)
    os.dup2(2, 1)  # what a library prints is not for the watching process
    target = find_target(name)
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as scratch:
        folder = Path(scratch) / "in"
        folder.mkdir()
        seeds = target.seeds(folder)
        for path in folder.iterdir():
            path.unlink() if path.is_file() else None
        target.prepare(folder)
        os.environ["TMPDIR"] = tempfile.tempdir = scratch
        confine(Path(scratch))
        for number in range(first, first + count):
            os.write(output, json.dumps([number, None]).encode() + b"\n")
            file, content = target.damaged(seeds, seed, number)
            (folder / file).write_bytes(content)
            finding = try_input(target.run, folder / file)
            if finding is not None:
                os.write(output, json.dumps([number, finding]).encode() + b"\n")
            (folder / file).unlink(missing_ok=True)
            target.prepare(folder)
    return 0


def _single(name: str, seed: int, number: int, keep: Path | None) -> int:
    """Read one input without limits, so that a debugger or a traceback shows what happens."""
    target = find_target(name)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        seeds = target.seeds(folder)
        target.prepare(folder)
        file, content = target.damaged(seeds, seed, number)
        if keep is not None:
            keep.write_bytes(content)
        print(f"{file}: {len(content):,} bytes, {content[:200]!r}")
        (folder / file).write_bytes(content)
        target.run(folder / file)
    print("a result")
    return 0


def keep(name: str, seed: int, number: int, folder: Path = FINDINGS) -> Path:
    """Write an input of a campaign to the folder of findings, where a test reads it from then on; return its file."""
    target = find_target(name)
    with tempfile.TemporaryDirectory() as scratch:
        file, content = target.damaged(target.seeds(Path(scratch)), seed, number)
    path = folder / name / f"{seed}-{number}" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def counts(results: Sequence[Result]) -> Counter[str]:
    """Return inputs and findings of all targets."""
    total: Counter[str] = Counter()
    for result in results:
        total += Counter(inputs=result.inputs, findings=sum(map(len, result.findings.values())))
    return total
