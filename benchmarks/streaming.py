"""Claim: for the short calls of a stream, layers with prepared weights are faster than torch's fused kernel.

Prints the time of one direction of an LSTM layer for calls of few frames and rows, prepared and fused; and, for the
default acoustic model without training, the share of real time that the network alone takes for one stream and for many
in a batch, at 0.3 and 0.6 s of latency, in processor time of one thread. The last lines are those of one stream.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch
from timing import in_turn, line, machine, parser

from speechrnn.audio.features import FeatureOptions
from speechrnn.nn import prepared
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions
from speechrnn.nn.prepared import PreparedLayer
from speechrnn.nn.recurrent import RecurrentLayer
from speechrnn.nn.streaming import StreamingNetwork
from speechrnn.transcription.streaming_options import blocks_for

RATE = 16000  # Hz
UNITS = 256
ALWAYS, NEVER = 1 << 30, -1  # values of SMALL_CALL


def with_prepared(limit: int, call: Callable[[], object]) -> object:
    """Call a function while calls of up to `limit` frames times rows take prepared weights."""
    before, prepared.SMALL_CALL = prepared.SMALL_CALL, limit
    try:
        return call()
    finally:
        prepared.SMALL_CALL = before


def compare_calls(repeats: int) -> None:
    """Print the times of single calls."""
    layer = PreparedLayer(RecurrentLayer(UNITS, UNITS).eval())
    for rows in (1, 4, 16, 40):
        for frames in (5, 10, 20, 40):
            inputs, states = torch.randn(frames, rows, UNITS), torch.zeros(rows, 2 * UNITS)
            call = partial(layer.run, inputs, states)
            times = in_turn(
                {"prepared": partial(with_prepared, ALWAYS, call), "fused": partial(with_prepared, NEVER, call)},
                repeats,
            )
            ours, peer = 1000 * times["prepared"], 1000 * times["fused"]
            print(f"  {frames:3} frames of {rows:2} rows: prepared {ours:6.2f} ms, fused {peer:6.2f} ms", flush=True)


def run_streams(network: StreamingNetwork, streams: int, seconds: float) -> float:
    """Return the processor seconds that a second of each stream takes, in packets of 0.1 s."""
    states = [network.start() for _ in range(streams)]
    packet = torch.randn(RATE // 10) * 0.1
    began = time.process_time()
    for _ in range(round(seconds * 10)):
        network.advance(states, [packet] * streams)
    return (time.process_time() - began) / seconds / streams


def main() -> None:
    """Print the tables and the result lines."""
    args = parser(__doc__, repeats=20).parse_args()
    torch.set_num_threads(1)
    print(machine(1))
    with torch.inference_mode():
        compare_calls(3 if args.quick else args.repeats)
    torch.manual_seed(0)
    model = AcousticModel(28, FeatureOptions(normalisation="training"), AcousticOptions()).eval()
    seconds = 3.0 if args.quick else 20.0
    lines = []
    for streams in (40, 1):
        for latency in (0.3, 0.6):
            network = StreamingNetwork(model, blocks_for(latency, model))
            run = partial(run_streams, network, streams, seconds if streams == 1 else seconds / 10)
            with_prepared(ALWAYS, run)  # to warm up
            ours, peer = run(), float(str(with_prepared(NEVER, run)))
            lines.append(line(f"network_{latency:g}s_{streams}_streams", peer / ours, ours, peer, "of real time"))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
