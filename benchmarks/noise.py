"""Claim: a model that was trained with noise and rooms makes fewer errors in noise, and about as many without.

Prints the word error rates of two acoustic models on AN4's test part, greedy: of --model, which was trained with
`augmentation.waveform.noise` and `rooms`, and of --peer, which was not. The recordings are taken as they are, and with
noise at 20, 10 and 5 dB that was in neither training (noise4.flac and noise5.flac). Intervals are of 95 %.

--language N names the language model of each for the beam as well: --language A for both, or one for each.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from an4 import ROOT
from english import RATE, Utterance, report, transcribe, with_noise
from timing import line, machine, parser, stop

from speechrnn.audio import load_audio
from speechrnn.core.errors import UserError
from speechrnn.data.corpora.an4 import utterances
from speechrnn.transcription.transcriber import Transcriber

RATIOS = (20.0, 10.0, 5.0)  # dB
UNSEEN = (4, 5)  # numbers of the noises that no training has


def read(root: Path, every: int) -> list[Utterance]:
    """Read every n-th utterance of the test part."""
    try:
        listed = utterances(root)["test"][::every]
    except UserError as error:
        stop(f"{error} The key here is --root.")
    return [Utterance(load_audio(row.audio, RATE)[0], row.speaker or "", row.text or "") for row in listed]


def load(folder: Path, language: Path | None) -> Transcriber:
    """Load a model, greedy or with a language model in the beam."""
    try:
        if language is None:
            return Transcriber.load(folder, device="cpu", decoding="greedy")
        return Transcriber.load(folder, device="cpu", decoding="beam", language_model=language)
    except UserError as error:
        stop(str(error))


def compare(name: str, sides: dict[str, Transcriber], spoken: list[Utterance], noises: Path) -> None:
    """Print the rates of both models, clean and at each ratio."""
    samples = [utterance.samples for utterance in spoken]
    sounds = [load_audio(noises / f"noise{number}.flac", RATE)[0] for number in UNSEEN]
    conditions = {"clean": samples}
    for decibels in RATIOS:
        noisy = [with_noise(wave, sounds, decibels, number=number) for number, wave in enumerate(samples)]
        conditions[f"{decibels:g} dB"] = noisy
    for condition, waves in conditions.items():
        ours, peer = (
            report(f"{name}, {side}, {condition}", spoken, transcribe(model, waves)) for side, model in sides.items()
        )
        title = f"{name}_{condition}".replace(" ", "_")
        ratio = peer / ours if ours else math.inf
        print(line(title, ratio, 100 * ours, peer=100 * peer, unit="%"), flush=True)


def main() -> None:
    """Print the rates, and for each condition how many times as many errors the peer makes."""
    options = parser(__doc__, repeats=1)
    options.add_argument("--root", type=Path, default=ROOT, help="the folder of AN4")
    options.add_argument("--noises", type=Path, default=ROOT.parent / "noise", help="the folder of the noises")
    options.add_argument("--model", type=Path, help="the acoustic model that was trained with noise and rooms")
    options.add_argument("--peer", type=Path, help="the acoustic model that was trained without")
    options.add_argument("--language", type=Path, nargs="+", default=[], help="their language models, for the beam")
    args = options.parse_args()
    torch.set_num_threads(args.threads)
    print(machine(args.threads))
    spoken = read(args.root, 10 if args.quick else 1)
    if args.model is None or args.peer is None:
        stop("it compares two models: give --model and --peer.")
    compare("greedy", {"with": load(args.model, None), "without": load(args.peer, None)}, spoken, noises=args.noises)
    if args.language:
        with_noises, without = load(args.model, args.language[0]), load(args.peer, args.language[-1])
        compare("beam", {"with": with_noises, "without": without}, spoken, noises=args.noises)


if __name__ == "__main__":
    main()
