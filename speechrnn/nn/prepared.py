"""Recurrent layers for a few frames at a time: weights are laid out once, not at each call.

torch's fused kernels (oneDNN on a CPU) repack the weights of a layer at every call, which takes about as long as ten
frames of one row. Where a call has few frames and rows, a loop over frames with weights that are transposed once is
faster; for larger calls the fused kernel is (benchmarks/streaming.py).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from speechrnn.nn.recurrent import RecurrentLayer

SMALL_CALL = 160  # frames times rows up to which the loop is the faster


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
                parameter.detach().float().cpu().numpy() for parameter in layer.direction_parameters(suffix)
            )
            if layer.cell != "gru":  # whose new gate multiplies the recurrent part, its bias included
                bias, recurrent_bias = bias + recurrent_bias, np.zeros_like(bias)
            self._weights[suffix] = (
                np.ascontiguousarray(inputs.T),
                np.ascontiguousarray(recurrent.T),
                bias,
                recurrent_bias,
            )

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
        projected = inputs.reshape(frames * batch, -1).numpy() @ weights
        projected += bias
        projected = projected.reshape(frames, batch, -1)
        outputs = np.empty((frames, batch, self.layer.network.hidden_size), np.float32)
        loop = {"lstm": _run_lstm, "gru": _run_gru, "rnn_tanh": _run_rnn}[self.layer.cell]
        end = loop(projected, states.numpy(), recurrent, recurrent_bias, outputs)
        return torch.from_numpy(outputs), torch.from_numpy(end)


def _sigmoid(values: np.ndarray) -> np.ndarray:
    """Compute the logistic function in place."""
    values *= 0.5
    np.tanh(values, out=values)
    values *= 0.5
    values += 0.5
    return values


def _run_lstm(
    projected: np.ndarray, states: np.ndarray, recurrent: np.ndarray, bias: np.ndarray, outputs: np.ndarray
) -> np.ndarray:
    """Run an LSTM over projected inputs (frames, batch, 4 units); fill outputs, return the last state."""
    units = outputs.shape[2]
    hidden, cell = states[:, :units], states[:, units:].copy()
    gates, new = np.empty_like(projected[0]), np.empty_like(cell)
    for frame, output in zip(projected, outputs, strict=True):
        np.matmul(hidden, recurrent, out=gates)
        gates += frame
        np.tanh(gates[:, 2 * units : 3 * units], out=new)
        _sigmoid(gates)
        cell *= gates[:, units : 2 * units]
        new *= gates[:, :units]
        cell += new
        np.tanh(cell, out=output)
        output *= gates[:, 3 * units :]
        hidden = output
    return np.concatenate([hidden, cell], 1)


def _run_gru(
    projected: np.ndarray, states: np.ndarray, recurrent: np.ndarray, bias: np.ndarray, outputs: np.ndarray
) -> np.ndarray:
    """Run a GRU over projected inputs (frames, batch, 3 units); fill outputs, return the last state."""
    units = outputs.shape[2]
    hidden = states
    for frame, output in zip(projected, outputs, strict=True):
        from_state = hidden @ recurrent + bias
        gates = _sigmoid(from_state[:, : 2 * units] + frame[:, : 2 * units])
        new = np.tanh(frame[:, 2 * units :] + gates[:, :units] * from_state[:, 2 * units :])
        np.add(new, gates[:, units:] * (hidden - new), out=output)
        hidden = output
    return np.array(hidden)


def _run_rnn(
    projected: np.ndarray, states: np.ndarray, recurrent: np.ndarray, bias: np.ndarray, outputs: np.ndarray
) -> np.ndarray:
    """Run a simple network over projected inputs (frames, batch, units); fill outputs, return the last state."""
    hidden = states
    for frame, output in zip(projected, outputs, strict=True):
        np.tanh(hidden @ recurrent + frame, out=output)
        hidden = output
    return np.array(hidden)
