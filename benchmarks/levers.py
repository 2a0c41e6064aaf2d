"""Claim: an option of the training is on by default only if the mean of three seeds gains by it at equal wall time.

Trains AN4's acoustic model for --minutes of wall time with each option and each seed (`trainer.minutes`, whose schedule
fits the time), on three quarters of the speakers of AN4's training part, and prints the greedy word error rate on the
other quarter: the mean over the seeds, and its difference to the training without the option, with the standard error
of the differences between the same seeds. The test part is not read.

--keys are for each training, such as those of a smaller network. --jobs 2 trains two at a time, each with one thread;
nothing else should run beside them. Runs stay in --output, so that the same command goes on where it was stopped; 42
runs of 10 minutes take three and a half hours of two cores.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from an4 import ROOT
from timing import line, machine, parser, positive, stop

DICTIONARY = ROOT.parent / "cmudict" / "cmudict.dict"
PLAIN = "none"
LEVERS: dict[str, list[str]] = {
    PLAIN: [],
    "statistics of the training part": ["features.normalisation=training"],
    "level": ["features.normalisation=level"],
    "random blocks": ["acoustic.streaming=0.4", "features.normalisation=training"],
    "intermediate loss of characters at layer 2": ["acoustic.intermediate_layer=2"],
    "intermediate loss of phones at layer 2": ["acoustic.intermediate_layer=2", f"trainer.pronunciations={DICTIONARY}"],
    "consistency of two views with wider masks": [
        "trainer.consistency_weight=0.2",
        "augmentation.masks.time_width=0.5",
    ],
    "frequency warps beside speeds": ["augmentation.channel.warp=[0.8,1.2]"],
    "frequency warps in place of speeds": [
        "augmentation.channel.warp=[0.8,1.2]",
        "augmentation.waveform.speeds=[1.0]",
    ],
    "stride of 4": ["acoustic.stride=4"],
    "subwords": ["tokenizer=subword", "tokenizer.vocabulary_size=100"],
    "label priors": ["trainer.label_priors=0.3"],
    "gains of bands and band limits": ["augmentation.channel.gain=6.0", "augmentation.channel.narrow_share=0.1"],
    "codecs": ["augmentation.waveform.codec_share=0.2"],
}


def slug(name: str) -> str:
    """Return the name of an option without spaces, for a folder and a result line.

    >>> slug("stride of 4")
    'stride_of_4'
    """
    return name.replace(" ", "_")


def train(name: str, seed: int, folder: Path, root: Path, minutes: float, shared: Sequence[str]) -> float:
    """Train with an option, a seed and the shared keys, unless it is done; return the word error rate in %."""
    output = folder / f"{slug(name)}_{seed}"
    keys = ["experiment=an4", f"corpus.root={root}", "corpus.dev_fraction=0.25", "stages=[prepare,train]"]
    keys += [f"trainer.minutes={minutes}", f"trainer.seed={seed}", f"output={output}", *shared, *LEVERS[name]]
    command = [sys.executable, "-m", "speechrnn.cli.main", "speech_to_text", *keys]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise RuntimeError(f"{name}, seed {seed}: {last}")
    figures = json.loads((output / "metrics.json").read_text())["acoustic"]
    rate = 100 * float(figures["dev_wer"])
    print(f"{name}, seed {seed}: {rate:.2f} % after {figures['steps']} steps", flush=True)
    return rate


def compare(rates: Sequence[float], plain: Sequence[float]) -> tuple[float, float]:
    """Return the mean of the differences between the same seeds, and its standard error; 0 of one seed.

    >>> compare([8.0, 9.0], [10.0, 10.0])
    (-1.5, 0.5)
    """
    differences = [rate - other for rate, other in zip(rates, plain, strict=True)]
    error = statistics.stdev(differences) / len(differences) ** 0.5 if len(differences) > 1 else 0.0
    return statistics.mean(differences), error


def main() -> None:
    """Print a row for each option."""
    options = parser(__doc__, repeats=1)
    options.add_argument("--root", type=Path, default=ROOT, help="the AN4 corpus")
    options.add_argument("--minutes", type=float, default=10.0, help="of each training")
    options.add_argument("--seeds", type=positive, default=3, help="seeds, from 0 on")
    options.add_argument("--jobs", type=positive, default=1, help="trainings at a time")
    options.add_argument("--keys", nargs="*", default=[], metavar="KEY=VALUE", help="for each training")
    options.add_argument("--only", nargs="*", metavar="OPTION", help="names of options, as they are printed")
    options.add_argument("--output", type=Path, default=Path("outputs/levers"), help="the folder of the runs")
    args = options.parse_args()
    print(machine(args.threads))
    names = list(LEVERS) if args.only is None else [PLAIN, *args.only]
    if unknown := [name for name in names if name not in LEVERS]:
        stop(f"There is no option {unknown[0]!r}; there are {', '.join(list(LEVERS)[1:])}. The key here is --only.")
    seeds, minutes, output = range(args.seeds), args.minutes, args.output
    if args.quick:  # in a folder of its own: a run that exists would go on with its few steps
        names, seeds, minutes, output = names[:2], range(1), 0.1, output / "quick"
    with ThreadPoolExecutor(args.jobs) as workers:
        pending = {
            name: [
                workers.submit(train, name, seed, output, root=args.root, minutes=minutes, shared=args.keys)
                for seed in seeds
            ]
            for name in names
        }
        try:
            found = {name: [rate.result() for rate in rates] for name, rates in pending.items()}
        except RuntimeError as failure:
            workers.shutdown(wait=False, cancel_futures=True)
            stop(str(failure))
    for name in names[1:]:
        difference, error = compare(found[name], found[PLAIN])
        mean, plain = statistics.mean(found[name]), statistics.mean(found[PLAIN])
        print(f"{name}: WER {mean:.2f} %, difference {difference:+.2f} ({error:.2f})")
        print(line(slug(name), plain / max(mean, 0.01), mean, peer=plain, unit="% WER"))


if __name__ == "__main__":
    main()
