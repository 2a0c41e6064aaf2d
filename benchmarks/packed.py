"""Claim: LSTM layers whose weights are packed once are faster for short calls, with the same results bit for bit.

Ours is `speechrnn.nn.recurrent.RecurrentLayer` after `pack()`. The peer is the same layer by `torch.lstm`, which packs
the weights at each call, and for one frame of several hypotheses by `torch.lstm_cell`, as in a search. Timed are calls
of a direction: 1 to 20 frames of one stream, in float32 and bfloat16, and one frame of 1 to 200 hypotheses.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from timing import in_turn, machine, parser, result, stop
from torch import Tensor

from speechrnn.nn.packed_lstm import can_pack
from speechrnn.nn.recurrent import RecurrentLayer

UNITS = 256
CALLS = 50  # in a turn
FRAMES = (1, 8, 12, 20)
HYPOTHESES = (1, 8, 20, 60, 200)


def repeated(call: Callable[[], object]) -> Callable[[], None]:
    """Return a turn of calls."""

    def turn() -> None:
        for _ in range(CALLS):
            call()

    return turn


def layers(units: int, dtype: torch.dtype) -> tuple[RecurrentLayer, RecurrentLayer]:
    """Return a packed layer and one of the same weights that is not packed."""
    torch.manual_seed(0)
    ours = RecurrentLayer(units, units, bidirectional=False).eval().requires_grad_(False).to(dtype)
    peer = RecurrentLayer(units, units, bidirectional=False).eval().requires_grad_(False).to(dtype)
    peer.load_state_dict(ours.state_dict())
    ours.pack()
    return ours, peer


def compare(name: str, ours: Callable[[], Tensor], peer: Callable[[], Tensor], repeats: int, same: bool) -> None:
    """Print the result line of a call of both sides."""
    if same and not torch.equal(ours(), peer()):
        stop(f"the results of {name} differ")
    times = in_turn({"ours": repeated(ours), "peer": repeated(peer)}, repeats)
    print(result(name, 1000 * times["ours"] / CALLS, 1000 * times["peer"] / CALLS, "ms"), flush=True)


@torch.inference_mode()
def main() -> None:
    """Print the result lines."""
    args = parser(__doc__, repeats=15).parse_args()
    torch.set_num_threads(args.threads)
    print(machine(args.threads))
    with torch.inference_mode(False):
        pairs = {dtype: layers(UNITS, dtype) for dtype in (torch.bfloat16, torch.float32)}
    if not can_pack(pairs[torch.float32][0].direction_parameters("_l0")[0]):
        stop("this torch packs no weights of LSTM layers")
    repeats = min(args.repeats, 3) if args.quick else args.repeats
    for dtype, (ours, peer) in pairs.items():
        kind = str(dtype).removeprefix("torch.")
        for frames in FRAMES:
            inputs, states = torch.randn(frames, 1, UNITS, dtype=dtype), torch.zeros(1, ours.state_size, dtype=dtype)
            compare(
                f"{kind}_{frames}_frames",
                lambda: ours.forward_from(inputs, states)[0],  # noqa: B023
                lambda: peer.forward_from(inputs, states)[0],  # noqa: B023
                repeats=repeats,
                same=True,
            )
    for hypotheses in HYPOTHESES:
        inputs, states = torch.randn(hypotheses, UNITS), torch.zeros(hypotheses, ours.state_size)
        compare(
            f"step_of_{hypotheses}_hypotheses",
            lambda: ours.step(inputs, states),  # noqa: B023
            lambda: peer.step(inputs, states),  # noqa: B023
            repeats=repeats,
            same=False,
        )


if __name__ == "__main__":
    main()
