"""Claim: a model whose features are normalised over the utterance makes the same errors at any level of the sound.

Prints the word error rates of models on the recordings of a manifest (JSON lines with audio_filepath and text): as they
are, and amplified by each of --gains, in dB; what exceeds full scale is clipped. A model whose features are normalised
by statistics of its training part knows only the levels that it was trained with (`augmentation.waveform.volume`).
--telephone decodes them over a telephone (8 kHz, G.711), too.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from english import over_telephone, read_utterances, report, transcribe
from timing import line, machine, parser, positive, stop

from speechrnn.core.errors import UserError
from speechrnn.transcription.transcriber import Transcriber

GAINS = (-40.0, -30.0, -20.0, -10.0, 10.0)  # dB
ENOUGH = 20  # recordings of a quick run


def amplify(samples: np.ndarray, gain: float) -> np.ndarray:
    """Return samples (n,) that are louder by a gain in dB, clipped at full scale.

    >>> amplify(np.array([0.01, 0.5]), 20.0)
    array([0.1, 1. ])
    """
    return (samples * 10 ** (gain / 20)).clip(-1.0, 1.0)


def main() -> None:
    """Print the rates of each model as the recordings are, and at each gain."""
    options = parser(__doc__, repeats=1)
    options.add_argument("--model", nargs="+", default=["english"], help="names or directories (english)")
    options.add_argument("--manifest", type=Path, required=True, help="recordings, as JSON lines")
    options.add_argument("--every", type=positive, default=1, help="take every n-th recording only")
    options.add_argument("--decoding", help="greedy or beam (that of the model)")
    options.add_argument("--gains", type=float, nargs="+", default=GAINS, metavar="DB", help=f"in dB {GAINS}")
    options.add_argument("--telephone", action="store_true", help="also over a telephone")
    args = options.parse_args()
    torch.set_num_threads(args.threads)
    print(machine(args.threads))
    try:
        spoken = read_utterances(args.manifest, args.every)[: ENOUGH if args.quick else None]
        chosen = {} if args.decoding is None else {"decoding": args.decoding}
        models = {name: Transcriber.load(name, device="cpu", **chosen) for name in args.model}
    except UserError as error:
        stop(f"{error} The keys here are --model and --decoding.")
    for name, model in models.items():
        plain = report(f"{name}, as it is", spoken, transcribe(model, [recording.samples for recording in spoken]))
        if args.telephone:
            report(f"{name}, telephone", spoken, transcribe(model, [over_telephone(each.samples) for each in spoken]))
        for gain in args.gains:
            waves = [amplify(recording.samples, gain) for recording in spoken]
            rate = report(f"{name}, {gain:+g} dB", spoken, transcribe(model, waves))
            title = f"{'louder' if gain > 0 else 'quieter'}_{abs(gain):g}_dB"
            ratio = plain / rate if rate else math.inf
            print(line(title, ratio, 100 * rate, peer=100 * plain, unit="% WER"), flush=True)


if __name__ == "__main__":
    main()
