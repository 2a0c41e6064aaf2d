"""Claim: the words of a live stream do not depend on its packets, and are those of the simulated run.

Prints, for a model and the recordings of a manifest (JSON lines with audio_filepath and text), how many words are the
same: in packets of random size, from 1 ms to 10 s, as in packets of 0.1 s, with the gate and the segments of
`speechrnn listen` (text, times and confidences are compared); and live, as where the network runs over the whole
recording in the same blocks and the search over all of its frames, in one segment and without the gate.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from manifest import read_rows
from timing import machine, parser, positive, share, stop

from speechrnn.audio import load_audio
from speechrnn.core.errors import UserError
from speechrnn.decoding.hypothesis import Word
from speechrnn.transcription.endpoint import EndpointOptions
from speechrnn.transcription.speech_gate import SpeechGateOptions
from speechrnn.transcription.streamer import StreamingRecognizer

ENOUGH = 3  # recordings of a quick run
ONE_SEGMENT = EndpointOptions(1000.0, 1000.0)


def random_sizes(generator: np.random.Generator, rate: int) -> Iterator[int]:
    """Draw numbers of samples from those of 1 ms to those of 10 s, evenly on a logarithmic scale."""
    while True:
        yield max(1, round(rate * 10 ** generator.uniform(-3, 1)))


def recognise(recognizer: StreamingRecognizer, samples: np.ndarray, sizes: Iterator[int]) -> list[Word]:
    """Return the words of the finals of a recording that comes in packets."""
    streamer, events, place = recognizer.stream(), [], 0
    while place < len(samples):
        size = next(sizes)
        events += streamer.accept(samples[place : place + size])
        place += size
    return [word for event in events + streamer.finish() if event.kind == "final" for word in event.words]


@torch.inference_mode()
def simulate(recognizer: StreamingRecognizer, samples: np.ndarray) -> list[str]:
    """Return the words of the network in blocks over a whole recording."""
    network, decoder = recognizer.network, recognizer.decoder
    log_probs, _ = network.model(torch.from_numpy(samples)[None], torch.tensor([len(samples)]), network.blocks)
    state = decoder.start()
    decoder.advance([state], [log_probs[0]])
    return [word.word for word in decoder.finish(state).words]


def same(words: Sequence[object], others: Sequence[object]) -> int:
    """Count the places at which two texts have the same word.

    >>> same(["a", "b", "c"], ["a", "x"])
    1
    """
    return sum(word == other for word, other in zip(words, others, strict=False))


def main() -> None:
    """Print both shares."""
    options = parser(__doc__, repeats=3)
    options.add_argument("--model", default="english", help="name or directory (english)")
    options.add_argument("--manifest", type=Path, required=True, help="recordings, as JSON lines")
    options.add_argument("--every", type=positive, default=1, help="take every n-th recording only")
    args = options.parse_args()
    torch.set_num_threads(args.threads)
    print(machine(args.threads))
    rows = read_rows(args.manifest, args.every)
    try:
        live = StreamingRecognizer.load(args.model, precision="float32")
        plain = StreamingRecognizer.load(
            args.model, precision="float32", endpoint=ONE_SEGMENT, gate=SpeechGateOptions(detector="none")
        )
    except UserError as error:
        stop(f"{error} The key here is --model.")
    rate, generator = live.sampling_rate, np.random.default_rng(0)
    words = agreeing = simulated = agreeing_simulated = 0
    for row in rows[:ENOUGH] if args.quick else rows:
        samples = load_audio(row["audio_filepath"], rate)[0]
        expected = recognise(live, samples, itertools.repeat(rate // 10))
        for _ in range(args.repeats):
            found = recognise(live, samples, random_sizes(generator, rate))
            words += max(len(found), len(expected))
            agreeing += same(found, expected)
        texts, others = simulate(plain, samples), recognise(plain, samples, random_sizes(generator, rate))
        simulated += max(len(texts), len(others))
        agreeing_simulated += same(texts, [word.word for word in others])
    print(share("same_in_any_packets", agreeing, whole=words, unit="words"))
    print(share("same_as_simulated", agreeing_simulated, whole=simulated, unit="words"))


if __name__ == "__main__":
    main()
