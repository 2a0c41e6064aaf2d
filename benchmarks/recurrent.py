"""Claim: on a CPU, bidirectional LSTM layers train at least 4 times as fast over padded batches as over packed ones.

Ours is `speechrnn.nn.recurrent.RecurrentStack`, bare (no norm, residual or dropout). The peer is the arrangement of
deepspeech.pytorch and most others on torch's own kernels: in each layer pack_padded_sequence, a bidirectional
nn.LSTM, pad_packed_sequence, and the sum of the directions; batches sorted by length, as theirs are. Both have the
same parameters, and outputs and gradients must agree before anything is timed.

Timed is forward and backward, batch 16, 200 frames, or as few as --shortest in the shortest row. `share_of_peak` is a
side's part of the float32 matrix-product peak, measured in the same turns; it counts true frames only, since padding is
no work that anybody asked for. `bfloat16` is ours under autocast, against ours in float32, by which
`trainer.precision=auto` goes.
On a CUDA device (--device cuda) ours is the packed path as well, so the ratio is about 1 there.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from timing import in_turn, machine, parser, result, share, stop
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from speechrnn.nn.recurrent import RecurrentOptions, RecurrentStack

BATCH, LAYERS, LONGEST = 16, 3, 200  # rows, layers, frames
TOLERANCE = 1e-5  # of outputs (which are below 2), and of gradients relative to the largest
PEAK_SIZE = 2048  # rows and columns of the product that finds the machine's peak

Forward = Callable[[Tensor, Tensor], Tensor]


def packed(networks: list[nn.LSTM], inputs: Tensor, lengths: Tensor) -> Tensor:
    """deepspeech.pytorch's layers: (frames, batch, units), (batch,) longest first -> the shape of the input."""
    outputs = inputs
    for network in networks:
        outputs, _ = pad_packed_sequence(network(pack_padded_sequence(outputs, lengths))[0])
        outputs = outputs.unflatten(2, (2, network.hidden_size)).sum(2)
    return outputs


def train(forward: Forward, stack: nn.Module, inputs: Tensor, lengths: Tensor, weights: Tensor) -> Tensor:
    """One forward and backward pass; returns the outputs on true frames, and leaves gradients behind."""
    stack.zero_grad()
    inputs.grad = None
    outputs = forward(inputs, lengths)
    (outputs.float() * weights).sum().backward()
    if inputs.is_cuda:
        torch.cuda.synchronize()
    return outputs.detach() * (weights != 0)


def distance(ours: Callable[[], Tensor], peer: Callable[[], Tensor], stack: nn.Module, inputs: Tensor) -> float:
    """Largest difference of the two sides' outputs and gradients."""
    seen = []
    for side in (ours, peer):
        outputs = side()
        seen.append([outputs, *(part.grad.clone() for part in (inputs, *stack.parameters()) if part.grad is not None)])
    (our_outputs, *our_gradients), (peer_outputs, *peer_gradients) = seen
    worst = float((our_outputs - peer_outputs).abs().max())
    for own, other in zip(our_gradients, peer_gradients, strict=True):
        worst = max(worst, float((own - other).abs().max() / other.abs().max()))
    return worst


def compare(units: int, shortest: int, device: str, repeats: int) -> list[str]:
    """Both sides at one size; returns the result lines."""
    torch.manual_seed(0)
    options = RecurrentOptions(layers=LAYERS, units=units, layer_norm=False, residual=False, dropout=0.0)
    stack = RecurrentStack(units, options).to(device)
    networks = [module for module in stack.modules() if isinstance(module, nn.LSTM)]
    lengths = torch.linspace(LONGEST, shortest, BATCH).long()
    inputs = torch.randn(LONGEST, BATCH, units, device=device, requires_grad=True)
    inside = torch.arange(LONGEST)[:, None] < lengths
    weights = (torch.randn(LONGEST, BATCH, units) * inside.unsqueeze(2)).to(device)
    placed = lengths.to(device)

    def ours() -> Tensor:
        return train(stack, stack, inputs, lengths=placed, weights=weights)

    def peer() -> Tensor:
        return train(lambda x, _: packed(networks, x, lengths), stack, inputs, lengths=lengths, weights=weights)

    def narrow() -> Tensor:
        with torch.autocast(device, dtype=torch.bfloat16):
            return train(stack, stack, inputs, lengths=placed, weights=weights)

    matrices = torch.randn(2, PEAK_SIZE, PEAK_SIZE, device=device)

    def product() -> None:
        torch.mm(matrices[0], matrices[1])
        if matrices.is_cuda:
            torch.cuda.synchronize()

    worst = distance(ours, peer, stack, inputs=inputs)  # which warms both up, too
    print(f"{LAYERS} x {units}: outputs and gradients differ by at most {worst:.1e}")
    if not worst <= TOLERANCE:
        stop(f"the two sides differ by {worst:.1e}, more than {TOLERANCE:.0e}, so their times cannot be compared.")
    seconds = in_turn({"ours": ours, "peer": peer, "bfloat16": narrow, "product": product}, repeats, warm_up=False)
    peak = 2 * PEAK_SIZE**3 / seconds["product"] / 1e9
    # two directions of 4 gates that see input and state; the backward pass takes twice the forward's products
    work = 3 * 2 * int(lengths.sum()) * LAYERS * 2 * 4 * units * 2 * units / 1e9
    speeds = {name: work / seconds[name] for name in ("ours", "peer", "bfloat16")}
    print(f"{LAYERS} x {units}: peak {peak:.0f} GFLOP/s; " + ", ".join(f"{n} {s:.0f}" for n, s in speeds.items()))
    name = f"{LAYERS}x{units}"
    return [
        share(f"share_of_peak_ours_{name}", speeds["ours"], peak, unit="GFLOP/s"),
        share(f"share_of_peak_packed_{name}", speeds["peer"], peak, unit="GFLOP/s"),
        result(f"bfloat16_{name}", seconds["bfloat16"], seconds["ours"], unit="s"),
        result(f"recurrent_{name}", seconds["ours"], seconds["peer"], unit="s"),
    ]


def main() -> None:
    """Print the comparison at 256 and 512 units."""
    options = parser(__doc__, repeats=15)
    options.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    options.add_argument("--shortest", type=int, default=LONGEST, help=f"frames of the shortest row (1 to {LONGEST})")
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    print(f"{machine(given.threads)}, torch {torch.__version__}")
    if given.device == "cuda":
        if not torch.cuda.is_available():
            stop("there is no CUDA device here; leave out --device cuda.")
        torch.backends.cudnn.allow_tf32 = False  # the peak beside it is float32 proper
        print(f"{torch.cuda.get_device_name()}: ours is cuDNN's packed path too, the same code as the peer's")
    lines = []
    for units in (256, 512):
        lines += compare(units, given.shortest, given.device, repeats=2 if given.quick else given.repeats)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
