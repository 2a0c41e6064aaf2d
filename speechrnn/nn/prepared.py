"""Recurrent layers for a few frames at a time: weights are laid out once, not at each call.

torch's fused kernels (oneDNN on a CPU) repack the weights of a layer at every call, which takes about as long as ten
frames of one row. Where a call has few frames and rows, a loop over frames with weights that are transposed once is
faster; for larger calls the fused kernel is (benchmarks/streaming.py).
"""

from __future__ import annotations

import torch
from torch import Tensor

from speechrnn.nn.recurrent import RecurrentLayer

SMALL_CALL = 20  # frames times rows up to which the loop is the faster


class PreparedLayer:
    """Run the directions of a recurrent layer from given states; on a CPU with prepared weights where that is faster.

    >>> layer = RecurrentLayer(4, 8).eval()
    >>> outputs, states = PreparedLayer(layer).run(torch.zeros(5, 1, 4), torch.zeros(1, 16))
    >>> outputs.shape, states.shape
    (torch.Size([5, 1, 8]), torch.Size([1, 16]))

    Attributes:
        layer: the layer. Its weights must not change afterwards.
    """

    def __init__(self, layer: RecurrentLayer) -> None:
        self.layer = layer
        self._weights = {}
        suffixes = ["_l0", "_l0_reverse"] if layer.network.bidirectional else ["_l0"]
        for suffix in suffixes:
            inputs, recurrent, bias, recurrent_bias = (
                parameter.detach().float() for parameter in layer.direction_parameters(suffix)
            )
            if layer.cell != "gru":  # whose new gate multiplies the recurrent part, its bias included
                bias, recurrent_bias = bias + recurrent_bias, torch.zeros_like(bias)
            self._weights[suffix] = inputs.T.contiguous(), recurrent.T.contiguous(), bias, recurrent_bias

    def run(self, inputs: Tensor, states: Tensor, reverse: bool = False) -> tuple[Tensor, Tensor]:
        """Run one direction's parameters from the first frame to the last.

        Args:
            inputs: (frames, batch, input_size).
            states: (batch, state_size).
            reverse: take the parameters of the backward direction.

        Returns:
            (frames, batch, units) outputs, (batch, state_size) states after the last frame.
        """
        suffix = "_l0_reverse" if reverse else "_l0"
        frames, batch, _ = inputs.shape
        if inputs.is_cuda or frames * batch > SMALL_CALL:
            return self.layer.run_kernel(inputs, states, self.layer.direction_parameters(suffix))
        weights, recurrent, bias, recurrent_bias = self._weights[suffix]
        projected = torch.addmm(bias, inputs.flatten(0, 1), weights).unflatten(0, (frames, batch))
        loop = {"lstm": _run_lstm, "gru": _run_gru, "rnn_tanh": _run_rnn}[self.layer.cell]
        return loop(projected, states, recurrent, recurrent_bias)


def _run_lstm(projected: Tensor, states: Tensor, recurrent: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Run an LSTM over projected inputs (frames, batch, 4 units); `bias` is part of these."""
    units = states.shape[1] // 2
    hidden, cell = states.split(units, 1)
    outputs = []
    for frame in projected:
        gates = torch.addmm(frame, hidden, recurrent)
        new = gates[:, 2 * units : 3 * units].tanh()
        start, forget, _, out = gates.sigmoid_().split(units, 1)
        cell = torch.addcmul(start * new, forget, cell)
        hidden = out * cell.tanh()
        outputs.append(hidden)
    return torch.stack(outputs), torch.cat([hidden, cell], 1)


def _run_gru(projected: Tensor, states: Tensor, recurrent: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Run a GRU over projected inputs (frames, batch, 3 units); `bias` is that of the recurrent part."""
    units = states.shape[1]
    hidden, outputs = states, []
    for frame in projected:
        from_state = torch.addmm(bias, hidden, recurrent)
        gates = (from_state[:, : 2 * units] + frame[:, : 2 * units]).sigmoid()
        new = torch.addcmul(frame[:, 2 * units :], gates[:, :units], from_state[:, 2 * units :]).tanh()
        hidden = torch.lerp(new, hidden, gates[:, units:])
        outputs.append(hidden)
    return torch.stack(outputs), hidden


def _run_rnn(projected: Tensor, states: Tensor, recurrent: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Run a simple network over projected inputs (frames, batch, units); `bias` is part of these."""
    hidden, outputs = states, []
    for frame in projected:
        hidden = torch.addmm(frame, hidden, recurrent).tanh()
        outputs.append(hidden)
    return torch.stack(outputs), hidden
