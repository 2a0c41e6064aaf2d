"""Options, alternating measurements and the form of a result, for all benchmarks.

Both sides of a claim run in turn in one process (A B A B ...), so that whatever else the machine is doing falls on
both; what is reported are medians.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn


def parser(description: str | None, repeats: int) -> argparse.ArgumentParser:
    """The options of every benchmark; `description` is the script's docstring, `repeats` its usual number of turns."""
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="less of everything: ends within a minute")
    options.add_argument("--threads", type=positive, default=cores(), help="threads of either side (all cores)")
    options.add_argument("--repeats", type=positive, default=repeats, help=f"turns of each side ({repeats})")
    return options


def positive(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} must be at least 1")
    return number


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine(threads: int) -> str:
    """The processor, the threads in use and how busy the machine is besides, for the head of a benchmark's output."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = models[0] if models else name
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{name}, {threads} of {cores()} cores{load}, Python {platform.python_version()}"


def in_turn(sides: Mapping[str, Callable[[], object]], repeats: int, warm_up: bool = True) -> dict[str, float]:
    """Median seconds of each side over `repeats` rounds of one turn each; a round to warm up is not counted."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(-1 if warm_up else 0, repeats):
        for name, side in sides.items():
            began = time.perf_counter()
            side()
            if turn >= 0:
                times[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in times.items()}


def result(name: str, ours: float, peer: float, unit: str, more_is_better: bool = False) -> str:
    """`NAME: ratio R (ours A, peer B UNIT)`; R says how many times as good ours is: 2 for half the time."""
    return line(name, ours / peer if more_is_better else peer / ours, ours, peer=peer, unit=unit)


def share(name: str, ours: float, whole: float, unit: str) -> str:
    """The same line for a part of a whole: R is the part's share, and `peer` the whole."""
    return line(name, ours / whole, ours, peer=whole, unit=unit)


def line(name: str, ratio: float, ours: float, peer: float, unit: str) -> str:
    """The form that every result has."""
    return f"{name}: ratio {ratio:.3g} (ours {ours:.4g}, peer {peer:.4g} {unit})"


def stop(reason: str) -> NoReturn:
    """End the script with one sentence and status 2."""
    print(f"{Path(sys.argv[0]).name}: {reason}", file=sys.stderr)
    sys.exit(2)
