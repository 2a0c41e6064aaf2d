"""Claim: the times of recognised words are right to about a frame of the network.

Reads a run of the demo (--run), whose synthesiser says when each word was spoken, and compares the utterances that have
as many words recognised as said. `word_starts` and `word_ends` are the median distances from the truth, against the
time between two frames of the network, which is the finest that any CTC alignment can tell. Nothing is timed, so that
--quick, --threads and --repeats, which every benchmark has, change nothing here.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path

from timing import machine, parser, result, stop

from speechrnn.nn.acoustic import load_acoustic


def distances(run: Path) -> tuple[list[float], list[float]]:
    """Seconds from the truth, of each word's start and of its end."""
    truth = {}
    for line in (run / "speech" / "words.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        truth[row["id"]] = row["words"]
    starts, ends = [], []
    for line in (run / "hypotheses.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if len(row["words"]) != len(truth[row["id"]]):
            continue
        for truth_word, found in zip(truth[row["id"]], row["words"], strict=True):
            starts.append(abs(found["start"] - truth_word["start"]))
            ends.append(abs(found["end"] - truth_word["end"]))
    return starts, ends


def main() -> None:
    """See the module."""
    options = parser(__doc__, 1)
    options.add_argument("--run", type=Path, default=Path("outputs/demo"), help="a demo's folder (outputs/demo)")
    given = options.parse_args()
    if not (given.run / "hypotheses.jsonl").is_file():
        stop(f"{given.run} holds no hypotheses.jsonl; run `make demo` first, or name its folder with --run.")
    starts, ends = distances(given.run)
    frame = load_acoustic(given.run / "acoustic")[0].seconds_per_frame
    print(machine(given.threads))
    print(f"{len(starts)} words")
    print(result("word_starts", 1000 * statistics.median(starts), 1000 * frame, unit="ms"))
    print(result("word_ends", 1000 * statistics.median(ends), 1000 * frame, unit="ms"))


if __name__ == "__main__":
    main()
