"""Claim: `speechrnn transcribe` needs no more memory for hours than for minutes, for 10,000 files or calls than for 10.

Whole processes run from their start to their end on one file of 1 minute, 1 hour and 5 hours, made of AN4 test
recordings with pauses of half a second to two between them, and on 10 to 10,000 files, which are links to one short
recording in folders of a hundred. Printed for each is the peak resident memory and the wall-clock time.

`peak_length` and `peak_files` hold the largest against the smallest (MiB): about 1 is flat. `time_length` and
`time_files` hold what each further hour (or file) costs between the two largest against what it costs between the
smallest and the second largest, in seconds: about 1 is linear; loading the model is in neither.

`calls` holds a `Transcriber` that is called 10,000 times in one process (of --calls, the largest against the smallest):
resident memory (MiB), open files and threads, the last two in lines of the table.

Without --model, an untrained one of the AN4 experiment's shape does the same work on the same sound.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from an4 import ROOT, save_untrained, test_files
from startup import LIST, RATE, apart, peak
from timing import machine, parser, result

LENGTHS = (60.0, 3600.0, 5 * 3600.0)  # seconds
FILES = (10, 100, 1000, 10_000)
QUICK_LENGTHS = (30.0, 300.0, 900.0)
QUICK_FILES = (10, 50, 150)
CALLS = (100, 1000, 10_000)
QUICK_CALLS = (20, 50, 100)
PER_FOLDER = 100


class Cost(NamedTuple):
    """Cost of a run: its size in seconds of audio or in files, its peak in MiB, its seconds."""

    size: float
    peak: float
    seconds: float


def save_joined(path: Path, root: Path, seconds: float) -> None:
    """Write so many seconds of AN4's test recordings with pauses, as 16-bit FLAC, block by block."""
    import numpy as np
    import soundfile

    from speechrnn.audio import load_audio

    random = np.random.default_rng(0)
    recordings = [load_audio(file, RATE)[0] for file in test_files(root)]
    left = round(seconds * RATE)
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        while left > 0:
            spoken = recordings[random.integers(len(recordings))]
            pause = 0.001 * random.standard_normal(random.integers(RATE // 2, 2 * RATE)).astype(np.float32)
            block = np.concatenate([spoken, pause])[:left]
            file.write(block)
            left -= len(block)


def shortest_file(path: Path, root: Path) -> None:
    """Copy AN4's shortest test recording of at least a second."""
    import soundfile

    durations = {file: soundfile.info(file).duration for file in test_files(root)}
    chosen = min((file for file, seconds in durations.items() if seconds >= 1.0), key=durations.__getitem__)
    samples, rate = soundfile.read(chosen, dtype="int16")
    soundfile.write(path, samples, rate)


def link_often(clip: Path, folder: Path, times: int) -> None:
    """The same recording under so many names; copies of it where the file system has no links."""
    for number in range(times):
        name = folder / f"{number // PER_FOLDER:03}" / f"{number:05}.wav"
        name.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(clip, name)
        except OSError:
            shutil.copyfile(clip, name)


def run(model: Path, inputs: Path, size: float, keys: Sequence[str], threads: int, repeats: int) -> Cost:
    """The largest peak and the median time of the command over one input; its transcripts are thrown away."""
    peaks, seconds = [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as output:
            given = {"model": model, "inputs": f"[{inputs}]", "output": Path(output) / "transcripts", "device": "cpu"}
            began = time.perf_counter()
            peaks.append(peak([*LIST, "transcribe", *(f"{k}={v}" for k, v in given.items()), *keys], threads))
            seconds.append(time.perf_counter() - began)
    return Cost(size, max(peaks), statistics.median(seconds))


def series(
    sizes: Sequence[float], unit: str, prepare: Callable[[float], Path], measure: Callable[..., Cost]
) -> list[Cost]:
    """Run each size, the smallest first, and prints it; an input is removed before the next is made."""
    costs = []
    for size in sizes:
        inputs = prepare(size)
        cost = measure(inputs, size)
        print(f"{size:>10g} {unit:<8} {cost.peak:8.0f} MiB {cost.seconds:9.1f} s", flush=True)
        costs.append(cost)
        if inputs.is_dir():
            shutil.rmtree(inputs)
        else:
            inputs.unlink()
    return costs


class Held(NamedTuple):
    """Resources of a process: resident memory in MiB, open files and threads."""

    memory: float
    files: int
    threads: int


def held() -> Held:
    """Return what this process holds now, by Linux's /proc."""
    import torch

    torch.get_num_threads()
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    memory = int(fields["VmRSS"].split()[0]) / 1024
    return Held(memory, len(list(Path("/proc/self/fd").iterdir())), int(fields["Threads"]))


def call_often(model: Path, clip: Path, counts: Sequence[int], threads: int) -> list[Held]:
    """Call a transcriber, and return what the process holds after each of so many calls."""
    from speechrnn import Transcriber

    transcriber = Transcriber.load(model, device="cpu", threads=threads)
    found, done = [], 0
    for count in sorted(counts):
        for _ in range(count - done):
            transcriber(clip)
        done = count
        found.append(held())
    return found


def print_calls(model: Path, clip: Path, counts: Sequence[int], threads: int) -> None:
    """Run `call_often` and print its table and result."""
    found = call_often(model, clip, counts, threads=threads)
    for count, now in zip(sorted(counts), found, strict=True):
        print(
            f"{count:>10} calls    {now.memory:8.0f} MiB {now.files:5} open files {now.threads:5} threads", flush=True
        )
    print(result("calls", found[-1].memory, found[0].memory, unit="MiB"), flush=True)


def lines(name: str, costs: Sequence[Cost], per: float, unit: str) -> list[str]:
    """The two results of a series; `per` is the size that times are given for, `unit` its name."""
    smallest, second, largest = costs[0], costs[-2], costs[-1]
    late = per * (largest.seconds - second.seconds) / (largest.size - second.size)
    early = per * (second.seconds - smallest.seconds) / (second.size - smallest.size)
    return [
        result(f"time_{name}", late, early, unit=f"s for each further {unit}"),
        result(f"peak_{name}", largest.peak, smallest.peak, unit="MiB"),
    ]


def main() -> None:
    """Print the table, then the results."""
    options = parser(__doc__, repeats=1)
    options.add_argument("--root", type=Path, default=ROOT, help="the AN4 corpus")
    options.add_argument("--model", type=Path, help="an acoustic model's directory")
    options.add_argument("--keys", nargs="*", default=[], metavar="KEY=VALUE", help="further keys of transcribe")
    options.add_argument("--lengths", type=float, nargs="+", help="seconds of the one file, three or more")
    options.add_argument("--files", type=int, nargs="+", help="numbers of files, three or more")
    options.add_argument("--calls", type=int, nargs="+", help="numbers of calls in one process")
    given = options.parse_args()
    lengths = given.lengths or (QUICK_LENGTHS if given.quick else LENGTHS)
    calls = given.calls or (QUICK_CALLS if given.quick else CALLS)
    counts = given.files or (QUICK_FILES if given.quick else FILES)
    if min(len(lengths), len(counts)) < 3:
        options.error("--lengths and --files need three sizes each")
    test_files(given.root)  # ends here where they are not
    print(machine(given.threads))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = given.model or folder / "model"
        if given.model is None:
            apart(partial(save_untrained, model))
        apart(partial(shortest_file, folder / "clip.wav", given.root))
        if Path("/proc/self/status").exists():
            apart(partial(print_calls, model, folder / "clip.wav", calls, given.threads))

        def joined(seconds: float) -> Path:
            apart(partial(save_joined, folder / "long.flac", given.root, seconds))
            return folder / "long.flac"

        def linked(count: float) -> Path:
            link_often(folder / "clip.wav", folder / "many", round(count))
            return folder / "many"

        def measure(inputs: Path, size: float) -> Cost:
            return run(model, inputs, size, keys=given.keys, threads=given.threads, repeats=given.repeats)

        by_length = series(sorted(lengths), "seconds", joined, measure=measure)
        by_files = series(sorted(counts), "files", linked, measure=measure)
    print("\n".join([*lines("length", by_length, 3600.0, unit="hour"), *lines("files", by_files, 1.0, unit="file")]))


if __name__ == "__main__":
    main()
