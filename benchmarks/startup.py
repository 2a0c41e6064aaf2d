"""Claim: `speechrnn` alone answers at once, and `transcribe` gives its first words soon after torch itself is there.

Timed are whole processes, from their start to their end, against `python -c "import torch"`, the least that anything
on torch takes: `startup` is `speechrnn` (the list of recipes), `first_word` is `speechrnn transcribe` of one short
file. Ratios below 1 say that ours takes longer.

`memory_1_minute` and `memory_10_minutes` are the peak resident memory of `speechrnn transcribe` on one file of that
length, against the same floor. The files are AN4 test recordings joined, or noise where the corpus is not at hand;
--model says which model, otherwise it is an untrained one of the AN4 experiment's shape.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from an4 import ROOT, save_untrained, test_files
from timing import in_turn, machine, parser, result, stop

RATE = 16000  # Hz, of the joined recordings
FLOOR = ["-c", "import torch"]
LIST = ["-m", "speechrnn.cli.main"]


def peak(arguments: Sequence[str], threads: int) -> float:
    """Run Python with these arguments to its end; returns its peak resident memory in MiB."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, *arguments], env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            output.seek(0)
            stop(f"`{' '.join(arguments)}` failed: {output.read().decode().strip()}")
    return usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)  # bytes there, KiB here


def transcribe(model: Path, recording: Path, output: Path) -> list[str]:
    """Arguments that transcribe one file."""
    keys = {"model": model, "inputs": f"[{recording}]", "output": output, "device": "cpu"}
    return [*LIST, "transcribe", *(f"{key}={value}" for key, value in keys.items())]


def apart(work: partial[None]) -> None:
    """Run a function in a process of its own.

    A child's peak memory is counted from that of the process which started it, so this one must stay small.
    """
    process = multiprocessing.get_context("spawn").Process(target=work)
    process.start()
    process.join()
    if process.exitcode != 0:
        stop("the files to measure with could not be made; see above.")


def save_recording(path: Path, root: Path, seconds: float) -> None:
    """Write so many seconds of AN4's test recordings, one after the other and over again, or of noise."""
    import numpy as np

    from speechrnn.audio import load_audio, save_audio

    size = round(seconds * RATE)
    if root.is_dir():
        samples = np.concatenate([load_audio(file, RATE)[0] for file in test_files(root)])
        samples = np.resize(samples, size)
    else:
        samples = np.random.default_rng(0).normal(0.0, 0.1, size).astype(np.float32)
    save_audio(path, samples, RATE)


def measure(model: Path, root: Path, folder: Path, threads: int, repeats: int, lengths: dict[str, float]) -> list[str]:
    """Time and weigh the processes; returns the result lines. `lengths`: seconds of audio by name."""
    for name, seconds in {"short": 3.0, **lengths}.items():
        apart(partial(save_recording, folder / f"{name}.wav", root, seconds))
    short = transcribe(model, folder / "short.wav", folder / "transcripts")
    commands = {"startup": LIST, "first_word": short, "floor": FLOOR}
    times = in_turn({name: partial(peak, command, threads) for name, command in commands.items()}, repeats)
    floor = peak(FLOOR, threads)
    lines = [result(name, times[name], times["floor"], unit="s") for name in ("startup", "first_word")]
    for name in lengths:
        used = peak(transcribe(model, folder / f"{name}.wav", folder / "transcripts"), threads)
        lines.append(result(f"memory_{name}", used, floor, unit="MiB"))
    return lines


def main() -> None:
    """Print start-up times and peak memory."""
    options = parser(__doc__, repeats=7)
    options.add_argument("--root", type=Path, default=ROOT, help="the AN4 corpus")
    options.add_argument("--model", type=Path, help="an acoustic model's directory")
    given = options.parse_args()
    print(machine(given.threads))
    lengths = {"1_minute": 60.0} if given.quick else {"1_minute": 60.0, "10_minutes": 600.0}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = given.model or folder / "model"
        if given.model is None:
            apart(partial(save_untrained, model))
        lines = measure(
            model,
            given.root,
            folder,
            threads=given.threads,
            repeats=2 if given.quick else given.repeats,
            lengths=lengths,
        )
    print("\n".join(lines))


if __name__ == "__main__":
    main()
