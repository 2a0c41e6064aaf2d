"""Claim: beside busy processes, training, search and transcription take at most 2.5 times as long as on an idle core.

A training step (3 x 256 bidirectional LSTM, 16 rows of 200 frames), a beam search (8 utterances of 100 frames with an
LSTM of 256 units) and a transcription (noise of --seconds; an untrained network of the AN4 experiment's shape) run
on --threads threads: alone, and beside one or two processes that keep a core busy each, of equal and of higher priority
(nice 0 against nice 3). Each side runs in processes of its own, in turn with the other, since the OpenMP library reads
its settings when it is loaded.

With --quick, all work is small, ends after 0.3 s a turn, and runs beside one busy process only. Ratios are medians over
pairs of turns, since whatever else runs on the machine falls on both turns of a pair.

Ours is the setting of `import speechrnn`: waiting threads of libgomp sleep after a bounded number of turns. The peer is
libgomp's own default, 300,000 turns. `idle_NAME` says what the bound costs on an idle machine, so no other program may
run beside it; `slowdown_NAME_...` compares ours beside busy processes (ours) and alone (peer); 0.4: 2.5 times as long.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from timing import line, machine, parser, result

SETTINGS = ("OMP_WAIT_POLICY", "OMP_NUM_THREADS", "GOMP_SPINCOUNT")
DEFAULT_SPINCOUNT = "300000"  # libgomp's own
LOWER_PRIORITY = 3
SYMBOLS = 29
QUICK_LIMIT = 0.3  # seconds of a turn with --quick
NAMES = ("training", "search", "transcription")


def make_work(name: str, seconds: float, quick: bool) -> Callable[[], object]:
    """Return a function that does a piece of work once, or a small one of its kind."""
    import torch

    units, layers, frames, rows = (64, 1, 20, 8) if quick else (256, 3, 200, 16)

    torch.manual_seed(0)
    if name == "training":
        from speechrnn.nn.recurrent import RecurrentOptions, RecurrentStack

        stack = RecurrentStack(units, RecurrentOptions(layers=layers, units=units))
        inputs, lengths = torch.randn(frames, rows, units), torch.full((rows,), frames)

        def train() -> None:
            stack.zero_grad()
            stack(inputs, lengths).sum().backward()

        return train
    if name == "search":
        from speechrnn.decoding.beam_search import BeamOptions, beam_search
        from speechrnn.decoding.scorers.base import LabelScorer, WeightedScorer
        from speechrnn.decoding.scorers.neural import NeuralModel
        from speechrnn.nn.language import LanguageModel, LanguageOptions

        model = LanguageModel(SYMBOLS, LanguageOptions(layers=1, units=units, embedding=units)).eval()
        scorers = [WeightedScorer(LabelScorer(NeuralModel(model), torch.arange(SYMBOLS)), 0.5, "language")]
        log_probs = torch.randn(rows // 2, frames // 2, SYMBOLS).log_softmax(2)
        counts = torch.full((rows // 2,), frames // 2)
        return lambda: beam_search(log_probs, counts, scorers, options=BeamOptions(beam_size=8))
    import tempfile

    import numpy as np
    from an4 import save_untrained

    from speechrnn.transcription.transcriber import Transcriber

    folder = tempfile.mkdtemp()
    save_untrained(Path(folder))
    transcriber = Transcriber.load(folder, device="cpu", engine="torch", threads=torch.get_num_threads())
    assert transcriber.detector is not None  # loads it
    samples = np.random.default_rng(0).normal(0.0, 0.1, int(seconds * transcriber.sampling_rate)).astype(np.float32)
    return lambda: transcriber((samples, transcriber.sampling_rate))


class LimitError(BaseException):  # so that nothing takes it for an error of its own
    """End a turn that takes longer than the limit."""


def work(threads: int, seconds: float, quick: bool) -> None:
    """Do the work that each line of the standard input names, and print the seconds that it took.

    With `quick`, a turn ends after `QUICK_LIMIT` seconds: beside other programs, threads that spin may need minutes.
    """
    import torch

    known: dict[str, Callable[[], object]] = {}

    def end(*_: object) -> None:
        raise LimitError

    def turn(name: str) -> float:
        began = time.perf_counter()
        if quick and name != "transcription":  # whose threads compute with one core each
            signal.setitimer(signal.ITIMER_REAL, QUICK_LIMIT)
        with suppress(LimitError):
            known[name]()
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        return time.perf_counter() - began

    signal.signal(signal.SIGALRM, end)
    torch.set_num_threads(threads)
    for request in sys.stdin:
        name = request.strip()
        if name not in known:
            known[name] = make_work(name, seconds, quick)
            turn(name)  # warms up
        print(turn(name), flush=True)


class Worker:
    """A process that does work on request."""

    def __init__(self, threads: int, seconds: float, quick: bool, settings: dict[str, str], niceness: int) -> None:
        """Start it with OpenMP settings of its own."""
        environment = {key: value for key, value in os.environ.items() if key not in SETTINGS} | settings
        command = [sys.executable, __file__, "--worker", str(threads), str(seconds), str(niceness), str(int(quick))]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()

    def run(self, name: str) -> float:
        """Do the work of a name; return its seconds."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{name}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


@contextmanager
def busy(number: int) -> Iterator[None]:
    """Keep so many cores busy."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def compared(name: str, ours: list[float], peer: list[float]) -> str:
    """Return the line of a result whose ratio is the median over pairs of turns."""
    ratio = statistics.median(there / here for here, there in zip(ours, peer, strict=True))
    return line(name, ratio, statistics.median(ours), peer=statistics.median(peer), unit="s")


def measure(threads: int, seconds: float, repeats: int, quick: bool) -> list[str]:
    """Run all work in all conditions; return the result lines."""
    conditions = {"equal_1": (1, 0)}
    if not quick:
        conditions |= {"higher_1": (1, LOWER_PRIORITY), "equal_2": (2, 0), "higher_2": (2, LOWER_PRIORITY)}
    sides = {"ours": {}, "peer": {"GOMP_SPINCOUNT": DEFAULT_SPINCOUNT}}
    lines = []
    with ExitStack() as stack:
        workers = {
            (side, niceness): stack.enter_context(Worker(threads, seconds, quick, settings=settings, niceness=niceness))
            for side, settings in sides.items()
            for niceness in {0, *(niceness for _, niceness in conditions.values())}
        }

        def turns(name: str, niceness: int) -> tuple[list[float], list[float]]:
            """Return the seconds of our side's turns, and of the peer's."""
            pairs = [[workers[side, niceness].run(name) for side in sides] for _ in range(repeats)]
            return [ours for ours, _ in pairs], [peer for _, peer in pairs]

        for name in NAMES:
            for worker in [] if quick else workers.values():
                worker.run(name)
            idle, idle_peer = turns(name, 0)
            lines.append(compared(f"idle_{name}", idle, idle_peer))
            for condition, (number, niceness) in conditions.items():
                with busy(number):
                    ours, peer = turns(name, niceness)
                lines += [
                    result(f"slowdown_{name}_{condition}", statistics.median(ours), statistics.median(idle), unit="s"),
                    compared(f"busy_{name}_{condition}", ours, peer),
                ]
    return lines


def main() -> None:
    """Print the comparison in all conditions."""
    if sys.argv[1:2] == ["--worker"]:
        os.nice(int(sys.argv[4]))
        import speechrnn  # noqa: F401  # which sets how threads wait, before torch is loaded

        work(int(sys.argv[2]), float(sys.argv[3]), sys.argv[5] == "1")
        return
    options = parser(__doc__, repeats=5)
    options.add_argument("--seconds", type=float, default=60.0, help="audio of the transcription, seconds")
    given = options.parse_args()
    print(machine(given.threads))
    seconds, repeats = (2.0, 3) if given.quick else (given.seconds, given.repeats)
    print("\n".join(measure(given.threads, seconds, repeats, quick=given.quick)))


if __name__ == "__main__":
    main()
