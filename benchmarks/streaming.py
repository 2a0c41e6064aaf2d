"""Claim: with 40 streams in a batch, live recognition costs the network no more than whole recordings cost it.

Prints, for the default acoustic model without training, the share of real time that the network alone takes in the
processor time of one thread: over a whole recording of 20 s, and live in packets of 0.1 s at 0.3, 0.6 and 1.2 s of
latency, for one stream and for 40 in a batch. The ratios say how many times as cheap as the whole recording it is.
Then, at 0.6 s, how much processor time one thread takes against as many as there are cores (--threads).

With --hours 2, two hours of one stream are recognised at top speed instead, to their words: memory and time at the end
are compared with those of the first tenth, and words and times with those of the first minutes, as the sound repeats.
"""

from __future__ import annotations

import math
import resource
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from timing import line, machine, parser

from speechrnn.audio.features import FeatureOptions
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions
from speechrnn.nn.streaming import StreamingNetwork
from speechrnn.text.tokenizers import CharTokenizer
from speechrnn.transcription.streamer import StreamingRecognizer
from speechrnn.transcription.streaming_options import blocks_for

RATE = 16000  # Hz
STREAMS = (40, 1)
LATENCIES = (0.3, 0.6, 1.2)  # seconds
PERIOD = 12.0  # seconds after which the sound of a long stream repeats, at the next whole block
SETTLED = 3  # periods after which its words do, too


@torch.inference_mode()
def run_whole(model: AcousticModel, seconds: float) -> float:
    """Return the processor seconds that a second of a whole recording takes."""
    wave = torch.randn(1, round(RATE * seconds)) * 0.1
    began = time.process_time()
    model(wave, torch.tensor([wave.shape[1]]))
    return (time.process_time() - began) / seconds


def run_streams(network: StreamingNetwork, streams: int, seconds: float) -> float:
    """Return the processor seconds that a second of each stream takes, in packets of 0.1 s."""
    states = [network.start() for _ in range(streams)]
    packet = torch.randn(RATE // 10) * 0.1
    began = time.process_time()
    for _ in range(round(seconds * 10)):
        network.advance(states, [packet] * streams)
    return (time.process_time() - began) / seconds / streams


def run_hours(recognizer: StreamingRecognizer, hours: float) -> tuple[list[float], list[float], bool]:
    """Recognise a stream of bursts and pauses, in packets of a second.

    Returns:
        peak megabytes of the process and processor seconds of a second of sound, for each tenth of the time, and
        whether words and times repeat as the sound does.
    """
    block = recognizer.network.blocks.size * recognizer.step  # samples
    period = math.ceil(PERIOD * RATE / block) * block
    generator = np.random.default_rng(0)
    sound = generator.standard_normal(period).astype(np.float32) * 0.1
    sound[(np.arange(period) // RATE) % 6 > 3] = 0.0  # pauses
    streamer, rounds = recognizer.stream(), max(10 * (SETTLED + 1), round(hours * 3600 * RATE / period))
    memory, seconds, words = [], [], []
    began, tenth = time.process_time(), rounds // 10
    for number in range(tenth * 10):
        for place in range(0, period, RATE):
            for event in streamer.accept(sound[place : place + RATE]):
                if event.kind == "final":
                    words += [(word.word, round(word.start * RATE)) for word in event.words]
        if (number + 1) % tenth == 0:
            memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
            seconds.append((time.process_time() - began) * RATE / period / tenth)
            began = time.process_time()
    rows: dict[int, list[tuple[str, float]]] = {}
    for word, start in words:
        rows.setdefault(start // period, []).append((word, round(start % period / RATE, 2)))
    settled = [rows.get(number, []) for number in range(SETTLED, tenth * 10 - SETTLED)]
    return memory, seconds, all(row == settled[0] for row in settled) and bool(settled[0])


def print_hours(model: AcousticModel, hours: float) -> None:
    """Print the result lines of a long stream."""
    with torch.no_grad():
        model.head.weight.mul_(25)  # an untrained model of no words becomes one of many
        model.head.bias[0] += 3.0
    recognizer = StreamingRecognizer(model, CharTokenizer.build([], "ABCDEFGHIJKLMNOPQRSTUVWXYZ "), "untrained")
    memory, seconds, repeats = run_hours(recognizer, hours)
    print(f"The words and times of each period are {'the same' if repeats else 'not the same'}.")
    print(line(f"live_{60 * hours:.0f}_minutes_memory", memory[0] / memory[-1], memory[-1], peer=memory[0], unit="MB"))
    print(
        line(
            f"live_{60 * hours:.0f}_minutes_time",
            seconds[0] / seconds[-1],
            seconds[-1],
            peer=seconds[0],
            unit="of real time",
        )
    )


def run_with_threads(threads: int, network: StreamingNetwork, streams: int, seconds: float) -> float:
    """Return what `run_streams` does with a number of threads."""
    torch.set_num_threads(threads)
    try:
        return run_streams(network, streams, seconds)
    finally:
        torch.set_num_threads(1)


def medians(sides: dict[str, Callable[[], float]], repeats: int) -> dict[str, float]:
    """Return the median of each side over rounds of one turn each, after a round to warm up."""
    rounds = [{name: side() for name, side in sides.items()} for _ in range(repeats + 1)][1:]
    return {name: statistics.median(values[name] for values in rounds) for name in sides}


def main() -> None:
    """Print the result lines."""
    options = parser(__doc__, repeats=5)
    options.add_argument("--hours", type=float, default=0.0, help="of one stream at top speed, instead of the rest")
    args = options.parse_args()
    torch.set_num_threads(1)
    print(machine(1))
    torch.manual_seed(0)
    model = AcousticModel(28, FeatureOptions(normalisation="training"), AcousticOptions(streaming=0.4)).eval()
    if args.hours:
        print_hours(model, args.hours)
        return
    repeats, seconds = (1, 3.0) if args.quick else (args.repeats, 20.0)
    for streams in STREAMS:
        sides: dict[str, Callable[[], float]] = {"whole": partial(run_whole, model, seconds)}
        for latency in LATENCIES:
            network = StreamingNetwork(model, blocks_for(latency, model))
            sides[f"{latency:g}"] = partial(run_streams, network, streams, max(3.0, seconds / streams))
        shares = medians(sides, repeats)
        for latency in LATENCIES:
            ours, peer = shares[f"{latency:g}"], shares["whole"]
            print(
                line(
                    f"live_{1000 * latency:.0f}ms_{streams}_streams", peer / ours, ours, peer=peer, unit="of real time"
                ),
                flush=True,
            )
    network = StreamingNetwork(model, blocks_for(0.6, model))
    for streams in STREAMS:
        turn = partial(run_with_threads, network=network, streams=streams, seconds=max(3.0, seconds / streams))
        shares = medians({"one": partial(turn, 1), "all": partial(turn, args.threads)}, repeats)
        ours, peer = shares["one"], shares["all"]
        print(
            line(f"live_600ms_{streams}_streams_1_thread", peer / ours, ours, peer=peer, unit="of real time"),
            flush=True,
        )


if __name__ == "__main__":
    main()
