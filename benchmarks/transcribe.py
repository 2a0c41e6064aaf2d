"""Claim: `Transcriber` is several times as fast on a CPU as the same network run file by file on packed sequences.

Both sides turn the AN4 test files (or --quick: the first 16) into transcripts with word times, from the files on disk,
with the same weights and the same code around them. Ours takes batches of --batch-seconds, one result a value; the
peer has its recurrent layers on packed nn.LSTM (`RecurrentLayer.packed`) in float32, one file at a time, as most tools
for single files do. `transcribe_one_by_one` is ours without batches. Printed first is how many transcripts have other
words than the peer's.

Without --model, an untrained one of the experiment's shape does the same work on the same sound.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from an4 import ROOT, packed, save_untrained, test_files
from timing import in_turn, machine, parser, result, stop

from speechrnn import audio
from speechrnn.errors import UserError
from speechrnn.transcribe import Failure, Transcriber

ALONE = 1e-3  # batch_seconds that put every file into a batch of its own


def words(transcriber: Transcriber, files: Sequence[Path], batch_seconds: float) -> dict[str, str]:
    """What is said in each file; a file that cannot be read ends the script."""
    texts = {}
    for found in transcriber.transcribe(files, batch_seconds):
        if isinstance(found, Failure):
            stop(found.reason)
        texts[found.audio] = found.text
    return texts


def measure(folder: Path, files: list[Path], sizes: Sequence[float], repeats: int) -> list[str]:
    """Both sides over the same files; returns the result lines, in times real time."""
    ours = Transcriber.load(folder, "cpu")

    def peer() -> dict[str, str]:
        with packed(ours.model):
            return words(ours, files, ALONE)

    sides: dict[str, Callable[[], dict[str, str]]] = {
        f"transcribe_batch_{size:g}s": partial(words, ours, files, size) for size in sizes
    }
    sides["transcribe_one_by_one"] = partial(words, ours, files, ALONE)
    sides["peer"] = peer
    found = {name: side() for name, side in sides.items()}
    for name in list(sides)[:-1]:
        different = sum(found[name][file] != text for file, text in found["peer"].items())
        print(f"{name}: {different} of {len(files)} transcripts differ from the peer's")
    seconds = in_turn(sides, repeats, warm_up=False)
    duration = sum(audio.info(file).duration for file in files)
    speeds = {name: duration / value for name, value in seconds.items()}
    against = speeds.pop("peer")
    return [result(name, speed, against, "times real time", more_is_better=True) for name, speed in speeds.items()]


def main() -> None:
    """Prints the speed at each batch size."""
    options = parser(__doc__, repeats=5)
    options.add_argument("--root", type=Path, default=ROOT, help="the AN4 corpus")
    options.add_argument("--model", type=Path, help="an acoustic model's directory")
    options.add_argument("--batch-seconds", type=float, nargs="+", default=[30.0, 120.0, 480.0])
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    print(f"{machine(given.threads)}, torch {torch.__version__}")
    files = test_files(given.root)
    if given.quick:
        files = files[:16]
    with tempfile.TemporaryDirectory() as folder:
        model = given.model or Path(folder)
        if given.model is None:
            save_untrained(model)
        try:
            lines = measure(model, files, given.batch_seconds, 3 if given.quick else given.repeats)
        except UserError as error:
            stop(str(error))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
