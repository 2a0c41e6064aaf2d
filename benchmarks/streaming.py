"""Claim: with 40 streams in a batch, live recognition costs the network no more than whole recordings cost it.

Prints, for the default acoustic model without training, the share of real time that the network alone takes in the
processor time of one thread: over a whole recording of 20 s, and live in packets of 0.1 s at 0.3, 0.6 and 1.2 s of
latency, for one stream and for 40 in a batch. The ratios say how many times as cheap as the whole recording it is.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from timing import line, machine, parser

from speechrnn.audio.features import FeatureOptions
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions
from speechrnn.nn.streaming import StreamingNetwork
from speechrnn.transcription.streaming_options import blocks_for

RATE = 16000  # Hz
STREAMS = (40, 1)
LATENCIES = (0.3, 0.6, 1.2)  # seconds


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


def medians(sides: dict[str, Callable[[], float]], repeats: int) -> dict[str, float]:
    """Return the median of each side over rounds of one turn each, after a round to warm up."""
    rounds = [{name: side() for name, side in sides.items()} for _ in range(repeats + 1)][1:]
    return {name: statistics.median(values[name] for values in rounds) for name in sides}


def main() -> None:
    """Print the result lines."""
    args = parser(__doc__, repeats=5).parse_args()
    torch.set_num_threads(1)
    print(machine(1))
    torch.manual_seed(0)
    model = AcousticModel(28, FeatureOptions(normalisation="training"), AcousticOptions()).eval()
    repeats, seconds = (1, 3.0) if args.quick else (args.repeats, 20.0)
    for streams in STREAMS:
        sides: dict[str, Callable[[], float]] = {"whole": partial(run_whole, model, seconds)}
        for latency in LATENCIES:
            network = StreamingNetwork(model, blocks_for(latency, model))
            sides[f"{latency:g}"] = partial(run_streams, network, streams, max(3.0, seconds / streams))
        shares = medians(sides, repeats)
        for latency in LATENCIES:
            ours, peer = shares[f"{latency:g}"], shares["whole"]
            print(line(f"live_{latency:g}s_{streams}_streams", peer / ours, ours, peer, "of real time"), flush=True)


if __name__ == "__main__":
    main()
