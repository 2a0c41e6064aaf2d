"""Measure how much of the gradient is left at a distance: the norm of d loss_T / d h_t against T - t.

A step back through a plain recurrent network multiplies the gradient by the recurrent matrix and by the slope of tanh:
over many steps it vanishes, or with large weights it explodes (Bengio et al. 1994, Pascanu et al. 2013). In an LSTM it
is multiplied by the forget gate instead (Hochreiter & Schmidhuber 1997, Gers et al. 2000).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speechrnn.nn.recurrent import MODULES, RecurrentLayer

ROWS = 16  # sequences whose norms are averaged
CLASSES = 8  # of the loss at the end


@dataclass(frozen=True)
class FlowOptions:
    """Options of the measurements before any training; conf/tutorials/gradients.yaml explains the keys."""

    distance: int = field(metadata={"min": 1})
    depths: tuple[int, ...] = field(metadata={"min": 1})
    scales: tuple[float, ...] = field(metadata={"min": 0.0})
    forget_biases: tuple[float, ...]


@dataclass(frozen=True)
class Flow:
    """A network and its gradients.

    Attributes:
        scale: all singular values of its recurrent matrices.
        norms: (distance + 1,) of d loss_T / d h_t over those at distance 0, for T - t = 0, 1, ...
    """

    cell: str
    depth: int
    scale: float
    forget_bias: float
    norms: list[float]

    def name(self) -> str:
        """Return a name such as "lstm, 1 layer, scale 2, forget bias 1"."""
        layers = f"{self.depth} layer{'' if self.depth == 1 else 's'}"
        bias = f", forget bias {self.forget_bias:g}" if self.cell == "lstm" else ""
        return f"{self.cell}, {layers}, scale {self.scale:g}{bias}"


def gradient_norms(layers: Sequence[RecurrentLayer], inputs: Tensor, loss: Callable[[Tensor], Tensor]) -> list[float]:
    """Return the norm of d loss_T / d h_t of each distance from the end, averaged over the rows.

    Args:
        layers: the stack, from the lowest; h_t is the hidden state of all of them together.
        inputs: (length, rows, input size).
        loss: of the last layer's output at the last place, (rows, units) -> the sum over the rows.
    """
    states = [inputs.new_zeros(inputs.shape[1], layer.state_size) for layer in layers]
    passed = []
    for outputs in inputs:
        for number, layer in enumerate(layers):
            # Of an LSTM, h is the first half of the state; the cell is the other, through which most gradients come.
            states[number] = layer.step(outputs, states[number])
            states[number].retain_grad()
            outputs = states[number][:, : layer.network.hidden_size]
        passed.append(list(states))
    loss(outputs).backward()
    norms = []
    for states in reversed(passed):
        # A lower layer's last state has no way to the loss but upwards, and gets its gradient from there.
        hidden = [
            state.grad[:, : layer.network.hidden_size]
            for state, layer in zip(states, layers, strict=True)
            if state.grad is not None
        ]
        norms.append(torch.cat(hidden, 1).norm(dim=1).mean().item())
    return norms


def make_stack(cell: str, depth: int, units: int, scale: float, forget_bias: float) -> list[RecurrentLayer]:
    """Return layers whose recurrent matrices are orthogonal (Saxe et al. 2014), times `scale`."""
    layers = [RecurrentLayer(units, units, cell, bidirectional=False) for _ in range(depth)]
    for layer in layers:
        weights(layer, "weight_hh_l0").mul_(scale)
        if cell == "lstm":
            weights(layer, "bias_ih_l0")[units : 2 * units] = forget_bias
    return layers


def weights(layer: RecurrentLayer, name: str) -> Tensor:
    """Return the data of one of torch's parameters, to write into it."""
    parameter: Tensor = getattr(layer.network, name)
    return parameter.data


def measure(cell: str, depth: int, units: int, scale: float, distance: int, forget_bias: float = 1.0) -> Flow:
    """Measure the gradients of an untrained stack on random inputs."""
    layers = make_stack(cell, depth, units, scale=scale, forget_bias=forget_bias)
    choose = nn.Linear(units, CLASSES)
    inputs = torch.randn(distance + 1, ROWS, units)
    targets = torch.randint(CLASSES, (ROWS,))
    # Double precision, so that small gradients are not rounded to zero.
    norms = gradient_norms(
        [layer.double() for layer in layers],
        inputs.double(),
        lambda outputs: F.cross_entropy(choose.double()(outputs), targets, reduction="sum"),
    )
    return Flow(cell, depth, scale, forget_bias=forget_bias, norms=relative(norms))


def relative(norms: Sequence[float]) -> list[float]:
    """Return the norms over the first of them; all 0 where that is 0."""
    return [norm / norms[0] if norms[0] else 0.0 for norm in norms]


def measure_all(options: FlowOptions, units: int) -> tuple[list[Flow], list[Flow]]:
    """Measure each cell at each depth and scale, and one layer of LSTM with each forget bias."""
    flows = [
        measure(cell, depth, units, scale=scale, distance=options.distance)
        for cell, depth, scale in product(MODULES, options.depths, options.scales)
    ]
    gated = [
        measure("lstm", 1, units, scale=1.0, distance=options.distance, forget_bias=bias)
        for bias in options.forget_biases
    ]
    return flows, gated
