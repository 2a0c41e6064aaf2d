"""Claim: with little audio, a fine-tuned model of English makes far fewer errors than a model from scratch.

Takes AN4's training part only: so many minutes of whole speakers train, a tenth of which the recipe holds out as dev,
and speakers who are in no training of up to 20 minutes are decoded. Runs `speechrnn speech_to_text`, fine-tuned
(`experiment=from_english`) and from scratch for as many epochs, and prints the word error rates of the best way of
decoding. Takes minutes to an hour; --quick does one epoch of five minutes, which says nothing about the claim.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import soundfile
from an4 import ROOT
from timing import line, machine, parser, stop

from speechrnn.core.errors import UserError
from speechrnn.data.corpora import an4

MOST_MINUTES = 20.0  # of speakers who are not decoded
SPARED = 12  # speakers, the first in the random order, who never train

Row = dict[str, Any]


def speakers(root: Path) -> list[list[Row]]:
    """Return the rows of a manifest for each speaker of the training part, in an order that is always the same."""
    found: dict[str, list[Row]] = {}
    try:
        utterances = an4.utterances(root)["train"]
    except UserError as error:
        stop(str(error))
    for utterance in utterances:
        if utterance.text is not None and utterance.audio.is_file():
            seconds = soundfile.info(utterance.audio).duration
            row = {"audio_filepath": str(utterance.audio), "text": utterance.text, "duration": seconds}
            found.setdefault(utterance.speaker or "", []).append({**row, "speaker": utterance.speaker})
    names = sorted(found)
    random.Random(0).shuffle(names)
    return [found[name] for name in names]


def split(groups: list[list[Row]], minutes: float) -> tuple[list[Row], list[Row]]:
    """Return the utterances of so many minutes, of whole speakers, and those of speakers for decoding."""

    def take(most: float) -> list[int]:
        chosen, seconds = [], 0.0
        for number, group in enumerate(groups[SPARED:], SPARED):
            length = sum(row["duration"] for row in group)
            if seconds + length <= 60 * most + 15:
                chosen.append(number)
                seconds += length
        return chosen

    used = set(take(MOST_MINUTES))
    train = [row for number in take(minutes) for row in groups[number]]
    return train, [row for number, group in enumerate(groups) if number not in used for row in group]


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write a manifest."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def best_rate(folder: Path, name: str, keys: list[str]) -> float:
    """Run the recipe on the manifests in a folder; return the lowest word error rate of its ways of decoding, in %."""
    manifests = [f"corpus.{part}=[{folder / f'{part}.jsonl'}]" for part in ("train", "test")]
    command = ["speech_to_text", "corpus=manifest", *manifests, f"output={folder / name}", *keys]
    subprocess.run([sys.executable, "-m", "speechrnn.cli.main", *command], check=True)
    systems = json.loads((folder / name / "metrics.json").read_text())["decode"]
    return min(100 * figures["wer"] for figures in systems.values())


def main() -> None:
    """Print both error rates."""
    options = parser(__doc__, repeats=1)
    options.add_argument("--root", type=Path, default=ROOT, help="the AN4 corpus")
    options.add_argument("--minutes", type=float, default=20.0, help="of training audio")
    options.add_argument("--epochs", type=int, help="of either training; without it those of the fine-tuning")
    args = options.parse_args()
    print(machine(args.threads))
    groups = speakers(args.root)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train, test = split(groups, 5.0 if args.quick else args.minutes)
        write(folder / "train.jsonl", train)
        write(folder / "test.jsonl", test[:20] if args.quick else test)
        epochs = 1 if args.quick else args.epochs
        given = [] if epochs is None else [f"trainer.epochs={epochs}"]
        ours = best_rate(folder, "tuned", ["experiment=from_english", *given])
        reached = json.loads((folder / "tuned" / "metrics.json").read_text())["acoustic"]["epochs"]
        scratch = ["decoding=beam", "prediction.trainer.min_steps=300", f"trainer.epochs={reached}"]
        peer = best_rate(folder, "scratch", scratch)
    print(line("fine_tuning", peer / max(ours, 0.01), ours, peer=peer, unit="% WER"))


if __name__ == "__main__":
    main()
