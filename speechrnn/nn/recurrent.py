"""Recurrent layers: over padded batches in one or both directions, from a carried state, and one step at a time.

On a CPU a packed sequence costs an LSTM three to five times a padded one: the fused kernels take whole
rectangles. Padding does no harm to the forward direction, whose kept outputs come before it, and is kept out of
the backward direction by reversing each row by its own length. The result equals `nn.LSTM` on a packed
sequence to float precision, with the same parameters under the same names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

MODULES: dict[str, type[nn.LSTM | nn.GRU | nn.RNN]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn_tanh": nn.RNN}


@dataclass(frozen=True)
class RecurrentOptions:
    """Shape of a recurrent stack.

    Attributes:
        cell: lstm, gru or rnn_tanh (Elman's).
        layers: how many.
        units: hidden units a direction; the two directions are summed, so this is also the output size.
        bidirectional: whether a second network reads each utterance from its end.
        layer_norm: whether each layer's output is normalised (Ba et al. 2016).
        residual: whether each layer but the first adds its input to its output.
        dropout: share of each layer's outputs set to zero in training.
    """

    cell: Literal["lstm", "gru", "rnn_tanh"] = "lstm"
    layers: int = field(default=3, metadata={"min": 1})
    units: int = field(default=256, metadata={"min": 1})
    bidirectional: bool = True
    layer_norm: bool = True
    residual: bool = True
    dropout: float = field(default=0.3, metadata={"min": 0.0, "max": 0.95})


def reversal(lengths: Tensor, frames: int) -> Tensor:
    """Index that reverses each row's first `length` frames and leaves its padding where it is.

    (batch,) -> (frames, batch). Applying it twice gives the original back.
    """
    time = torch.arange(frames, device=lengths.device)[:, None]
    return torch.where(time < lengths, lengths - 1 - time, time)


class RecurrentLayer(nn.Module):
    """One recurrent layer; two directions are summed.

    Holds one stock `nn.LSTM`, `nn.GRU` or `nn.RNN` for its parameters, so these are interchangeable with it.

    Attributes:
        state_size: numbers in the state of one row: output and cell of an lstm, side by side, or the output alone.
    """

    def __init__(self, input_size: int, units: int, cell: str = "lstm", bidirectional: bool = True) -> None:
        super().__init__()
        self.cell = cell
        self.network = MODULES[cell](input_size, units, bidirectional=bidirectional)
        self.state_size = 2 * units if cell == "lstm" else units
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Orthogonal recurrent weights (Saxe et al. 2014), and forget gates that start open (Gers et al. 2000)."""
        units = self.network.hidden_size
        for name, parameter in self.network.named_parameters():
            if name.startswith("weight_hh"):
                for gate in parameter.data.split(units):
                    nn.init.orthogonal_(gate)
            elif name.startswith("weight_ih"):
                for gate in parameter.data.split(units):
                    nn.init.xavier_uniform_(gate)
            else:
                nn.init.zeros_(parameter)
                if self.cell == "lstm" and name.startswith("bias_ih"):
                    nn.init.ones_(parameter.data[units : 2 * units])

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """(frames, batch, input_size), (batch,) -> (frames, batch, units); frames beyond a length are arbitrary."""
        if inputs.is_cuda:
            return self.packed(inputs, lengths)
        outputs = self.direction(inputs, reverse=False)
        if self.network.bidirectional:
            index = reversal(lengths, inputs.shape[0]).unsqueeze(2)
            backward = self.direction(inputs.gather(0, index.expand_as(inputs)), reverse=True)
            outputs = outputs + backward.gather(0, index.expand_as(backward))
        return outputs

    def direction(self, inputs: Tensor, reverse: bool) -> Tensor:
        """Runs the parameters of one direction over (frames, batch, input_size), from the first frame to the last."""
        start = inputs.new_zeros(inputs.shape[1], self.state_size)
        return self.run(inputs, start, self.parameters_of("_l0_reverse" if reverse else "_l0"))[0]

    def carry(self, inputs: Tensor, states: Tensor, weight_drop: float = 0.0) -> tuple[Tensor, Tensor]:
        """Goes on from a state: (frames, batch, input_size), (batch, state_size) -> (frames, batch, units), new state.

        Args:
            weight_drop: share of the recurrent weights set to zero in training, the same ones for the whole of
                `inputs` (DropConnect, Wan et al. 2013, as in AWD-LSTM, Merity et al. 2018). The raw weight stays the
                parameter and gets the gradients.
        """
        parameters = self.parameters_of("_l0")
        parameters[1] = F.dropout(parameters[1], weight_drop, self.training)
        return self.run(inputs, states, parameters)

    def step(self, inputs: Tensor, states: Tensor) -> Tensor:
        """One frame: (batch, input_size), (batch, state_size) -> new state, whose first `units` are the output."""
        cell = getattr(torch, f"{self.cell}_cell")
        if self.cell == "lstm":
            return torch.cat(cell(inputs, states.chunk(2, 1), *self.parameters_of("_l0")), 1)
        return cast(Tensor, cell(inputs, states, *self.parameters_of("_l0")))

    def parameters_of(self, suffix: str) -> list[Tensor]:
        """Input weight, recurrent weight and the two biases of a direction."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return [getattr(self.network, name + suffix) for name in names]

    def run(self, inputs: Tensor, states: Tensor, parameters: list[Tensor]) -> tuple[Tensor, Tensor]:
        """torch's fused layer in one direction: (frames, batch, input_size), (batch, state_size) -> outputs, state."""
        kernel = getattr(torch, self.cell)
        whole = states.unsqueeze(0)
        start = tuple(part.contiguous() for part in whole.chunk(2, 2)) if self.cell == "lstm" else whole
        # arguments after the state: parameters, has_biases, layers, dropout, train, bidirectional, batch_first
        outputs, *end = kernel(inputs, start, parameters, True, 1, 0.0, self.training, False, False)
        return outputs, torch.cat(end, 2).squeeze(0)

    def packed(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """The same through cuDNN's own packed path, which on a GPU is the fastest there is."""
        packed = pack_padded_sequence(inputs, lengths.cpu(), enforce_sorted=False)
        outputs, _ = pad_packed_sequence(self.network(packed)[0], total_length=inputs.shape[0])
        if self.network.bidirectional:
            outputs = outputs.unflatten(2, (2, self.network.hidden_size)).sum(2)
        return outputs


class RecurrentStack(nn.Module):
    """Recurrent layers on top of each other, each followed by layer norm and dropout, with residual connections."""

    def __init__(self, input_size: int, options: RecurrentOptions) -> None:
        super().__init__()
        self.residual = options.residual
        sizes = [input_size] + [options.units] * (options.layers - 1)
        self.layers = nn.ModuleList(
            RecurrentLayer(size, options.units, options.cell, options.bidirectional) for size in sizes
        )
        self.norms = nn.ModuleList(
            nn.LayerNorm(options.units) if options.layer_norm else nn.Identity() for _ in self.layers
        )
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """(frames, batch, input_size), (batch,) -> (frames, batch, units)."""
        outputs = inputs
        for number, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            new = self.dropout(norm(layer(outputs, lengths)))
            outputs = outputs + new if self.residual and number > 0 else new
        return outputs
