"""Recurrent layers over padded batches: in one or both directions, from a given state, and one step at a time.

On a CPU a packed sequence costs an LSTM three to five times as much as a padded one, because the fused kernels take
rectangular inputs. Padding cannot reach the forward direction, whose valid outputs come before it; for the backward
direction each row is reversed by its own length. The result equals `nn.LSTM` on a packed sequence to float precision,
with the same parameters under the same names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from speechrnn.core.signals import use_signal_stack
from speechrnn.nn.packed_lstm import PackedLstm, can_pack

FORWARD, BACKWARD = "_l0", "_l0_reverse"  # ends of the names of a direction's parameters
MODULES: dict[str, type[nn.LSTM | nn.GRU | nn.RNN]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn_tanh": nn.RNN}


@dataclass(frozen=True)
class Blocks:
    """Configure a latency-controlled bidirectional stack (Zhang et al. 2016, "Highway LSTM RNNs").

    The utterance is cut into blocks, and all layers run over a window: a block and the look-ahead, the frames after it.
    The forward direction of a layer starts from its state at the end of the block before, the backward direction from
    zeros at the end of the window. The outputs for the look-ahead are inputs of the next layer, and are computed again
    with the next block.

    >>> Blocks(size=12, right=8).latency
    20

    Attributes:
        size: frames of a block.
        right: frames of the look-ahead.
    """

    size: int = field(metadata={"min": 1})
    right: int = field(metadata={"min": 0})

    @property
    def latency(self) -> int:
        """Return the most frames between a frame of the input and its output."""
        return self.size + self.right

    def windows(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Cut a padded batch into windows.

        >>> windows, valid = Blocks(size=2, right=1).windows(torch.arange(5.0).reshape(5, 1, 1), torch.tensor([5]))
        >>> windows.flatten(1).T.tolist(), valid.flatten().tolist()
        ([[0.0, 1.0, 2.0], [2.0, 3.0, 4.0], [4.0, 0.0, 0.0]], [3, 3, 1])

        Args:
            inputs: (frames, batch, units).
            lengths: (batch,) valid frames of each row.

        Returns:
            (size + right, blocks, batch, units) windows, padded with zeros; (blocks, batch) valid frames of each.
        """
        count = (len(inputs) + self.size - 1) // self.size
        padded = F.pad(inputs, (0, 0, 0, 0, 0, count * self.size + self.right - len(inputs)))
        windows = padded.unfold(0, self.latency, self.size).permute(3, 0, 1, 2)
        starts = torch.arange(count, device=inputs.device) * self.size
        return windows, (lengths - starts[:, None]).clamp(0, self.latency)


@dataclass(frozen=True)
class RecurrentOptions:
    """Configure a recurrent stack.

    >>> RecurrentOptions(layers=2, units=128).cell
    'lstm'

    Attributes:
        cell: lstm (Hochreiter & Schmidhuber 1997), gru (Cho et al. 2014) or rnn_tanh (Elman 1990).
        layers: number of layers.
        units: hidden units of each direction; the two directions are summed, so this is also the output size.
        bidirectional: whether a second network reads each utterance from its end (Schuster & Paliwal 1997).
        layer_norm: whether each layer's output is normalised (Ba et al. 2016).
        residual: whether each layer but the first adds its input to its output.
        dropout: share of each layer's outputs that are set to zero in training.
    """

    cell: Literal["lstm", "gru", "rnn_tanh"] = "lstm"
    layers: int = field(default=3, metadata={"min": 1})
    units: int = field(default=256, metadata={"min": 1})
    bidirectional: bool = True
    layer_norm: bool = True
    residual: bool = True
    dropout: float = field(default=0.3, metadata={"min": 0.0, "max": 0.95})


def reversal_index(lengths: Tensor, frames: int) -> Tensor:
    """Return the index that reverses the first `length` frames of each row and leaves its padding in place.

    Applying it twice gives the original back.

    >>> reversal_index(torch.tensor([3, 2]), 3).T.tolist()
    [[2, 1, 0], [1, 0, 2]]

    Args:
        lengths: (batch,) valid frames of each row.
        frames: frames of the padded batch.

    Returns:
        (frames, batch) int64, for `gather` along the frames.
    """
    time = torch.arange(frames, device=lengths.device)[:, None]
    return torch.where(time < lengths, lengths - 1 - time, time)


class RecurrentLayer(nn.Module):
    """One recurrent layer; the outputs of its two directions are summed.

    Holds one `nn.LSTM`, `nn.GRU` or `nn.RNN` of torch for its parameters, so these are interchangeable with it.

    >>> layer = RecurrentLayer(4, 8)
    >>> layer(torch.zeros(5, 2, 4), torch.tensor([5, 3])).shape
    torch.Size([5, 2, 8])

    Attributes:
        cell: lstm, gru or rnn_tanh.
        state_size: size of a row's state: hidden and cell state of an lstm, concatenated, or the hidden state.
    """

    def __init__(self, input_size: int, units: int, cell: str = "lstm", bidirectional: bool = True) -> None:
        super().__init__()
        use_signal_stack()  # a Ctrl-C while the layer computes must not overwrite memory
        self.cell = cell
        self.network = MODULES[cell](input_size, units, bidirectional=bidirectional)
        self.state_size = 2 * units if cell == "lstm" else units
        self._packed: dict[str, PackedLstm] = {}
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise recurrent weights as orthogonal (Saxe et al. 2014) and forget gates as open (Gers et al. 2000)."""
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

    def forward(self, inputs: Tensor, lengths: Tensor, host_lengths: Tensor | None = None) -> Tensor:
        """Run the layer over a padded batch.

        Args:
            inputs: (frames, batch, input_size).
            lengths: (batch,) valid frames of each row.
            host_lengths: the lengths on the CPU, where they are known: they need not be read from a GPU.

        Returns:
            (frames, batch, units); frames beyond a row's length hold arbitrary numbers.
        """
        if inputs.is_cuda:
            return self.forward_packed(inputs, lengths if host_lengths is None else host_lengths)
        start = inputs.new_zeros(inputs.shape[1], self.state_size)
        outputs, _ = self.run_kernel(inputs, start)
        return outputs + self._run_backward(inputs, lengths) if self.network.bidirectional else outputs

    def run_windows(self, windows: Tensor, valid: Tensor, size: int, states: Tensor) -> tuple[Tensor, Tensor]:
        """Run the layer over the windows of consecutive blocks.

        Args:
            windows: (width, blocks, batch, input_size), see `Blocks.windows`; of a one-directional layer without
                look-ahead.
            valid: (blocks, batch) valid frames of each window.
            size: frames of a block; the frames of a window after them are look-ahead.
            states: (batch, state_size) of the forward direction before the first block.

        Returns:
            (width, blocks, batch, units) outputs, (batch, state_size) states after the last block.
        """
        outputs, ends = [], []
        for block in windows[:size].unbind(1):
            output, states = self.run_kernel(block, states)
            outputs.append(output)
            ends.append(states)
        forward = torch.stack(outputs, 1)
        if not self.network.bidirectional:
            return forward, states
        if len(windows) > size:
            ahead, _ = self.run_kernel(windows[size:].flatten(1, 2), torch.cat(ends))
            forward = torch.cat([forward, ahead.unflatten(1, valid.shape)])
        backward = self._run_backward(windows.flatten(1, 2), valid.flatten())
        return forward + backward.unflatten(1, valid.shape), states

    def forward_packed(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Run the layer over a packed sequence; see `forward`. On a GPU cuDNN's packed path is the fastest."""
        packed = pack_padded_sequence(inputs, lengths.cpu(), enforce_sorted=False)
        outputs, _ = pad_packed_sequence(self.network(packed)[0], total_length=inputs.shape[0])
        if self.network.bidirectional:
            outputs = outputs.unflatten(2, (2, self.network.hidden_size)).sum(2)
        return outputs

    def forward_from(self, inputs: Tensor, states: Tensor, weight_drop: float = 0.0) -> tuple[Tensor, Tensor]:
        """Run the forward direction from given states.

        Args:
            inputs: (frames, batch, input_size).
            states: (batch, state_size).
            weight_drop: share of the recurrent weights that are set to zero in training, the same ones for all frames
                (DropConnect, Wan et al. 2013, as in AWD-LSTM, Merity et al. 2018). The parameter itself stays as it is
                and gets the gradients.

        Returns:
            (frames, batch, units) outputs, (batch, state_size) states after the last frame.
        """
        return self.run_kernel(inputs, states, weight_drop=weight_drop)

    def step(self, inputs: Tensor, states: Tensor) -> Tensor:
        """Run the forward direction over one frame.

        Args:
            inputs: (batch, input_size).
            states: (batch, state_size).

        Returns:
            (batch, state_size) new states, whose first `units` numbers are the output.
        """
        parameters = self.direction_parameters(FORWARD)
        if self._is_packed(FORWARD, parameters, inputs):
            return self.run_kernel(inputs.unsqueeze(0), states)[1]
        cell = getattr(torch, f"{self.cell}_cell")
        if self.cell == "lstm":
            return torch.cat(cell(inputs, states.chunk(2, 1), *parameters), 1)
        return cast(Tensor, cell(inputs, states, *parameters))

    def direction_parameters(self, suffix: str) -> list[Tensor]:
        """Return input weight, recurrent weight and the two biases of a direction, `FORWARD` or `BACKWARD`."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return [getattr(self.network, name + suffix) for name in names]

    def _run_backward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Run the backward direction: (frames, batch, input_size), (batch,) valid frames -> (frames, batch, units)."""
        index = reversal_index(lengths, len(inputs)).unsqueeze(2)
        start = inputs.new_zeros(inputs.shape[1], self.state_size)
        reverse = inputs.gather(0, index.expand_as(inputs))
        outputs, _ = self.run_kernel(reverse, start, BACKWARD)
        return outputs.gather(0, index.expand_as(outputs))

    def pack(self) -> None:
        """Pack the weights for inference, where torch can: see `PackedLstm`."""
        for suffix in (FORWARD, BACKWARD)[: 1 + self.network.bidirectional]:
            parameters = self.direction_parameters(suffix)
            if self.cell == "lstm" and can_pack(parameters[0]):
                self._packed[suffix] = PackedLstm(parameters)

    def _is_packed(self, suffix: str, parameters: list[Tensor], inputs: Tensor) -> bool:
        """Return whether packed weights of a direction can be used for the inputs."""
        packed = self._packed.get(suffix)
        return packed is not None and inputs.numel() > 0 and not torch.is_grad_enabled() and packed.fits(parameters)

    def run_kernel(
        self, inputs: Tensor, states: Tensor, suffix: str = FORWARD, weight_drop: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Run torch's fused layer in one direction: see `forward_from`."""
        parameters = self.direction_parameters(suffix)
        parameters[1] = F.dropout(parameters[1], weight_drop, self.training)
        batched = states.unsqueeze(0)
        start = tuple(part.contiguous() for part in batched.chunk(2, 2)) if self.cell == "lstm" else batched
        if self._is_packed(suffix, parameters, inputs):
            outputs, *end = self._packed[suffix](inputs, *start)
        else:
            kernel = getattr(torch, self.cell)
            # arguments after the state: parameters, has_biases, layers, dropout, train, bidirectional, batch_first
            outputs, *end = kernel(inputs, start, parameters, True, 1, 0.0, self.training, False, False)
        return outputs, torch.cat(end, 2).squeeze(0)


class RecurrentStack(nn.Module):
    """Recurrent layers on top of each other, each followed by layer norm and dropout, with residual connections.

    >>> stack = RecurrentStack(4, RecurrentOptions(layers=2, units=8))
    >>> stack(torch.zeros(5, 2, 4), torch.tensor([5, 3])).shape
    torch.Size([5, 2, 8])
    """

    def __init__(self, input_size: int, options: RecurrentOptions) -> None:
        super().__init__()
        self.residual = options.residual
        self.bidirectional = options.bidirectional
        sizes = [input_size] + [options.units] * (options.layers - 1)
        self.layers = nn.ModuleList(
            RecurrentLayer(size, options.units, options.cell, bidirectional=options.bidirectional) for size in sizes
        )
        self.norms = nn.ModuleList(
            nn.LayerNorm(options.units) if options.layer_norm else nn.Identity() for _ in self.layers
        )
        self.dropout = nn.Dropout(options.dropout)

    def pack(self) -> None:
        """Pack the weights of all layers for inference: see `RecurrentLayer.pack`."""
        for layer in self.layers:
            cast(RecurrentLayer, layer).pack()

    def forward(self, inputs: Tensor, lengths: Tensor, blocks: Blocks | None = None) -> Tensor:
        """Run all layers: (frames, batch, input_size), (batch,) valid frames -> (frames, batch, units)."""
        return self.run_layers(inputs, lengths, blocks)[-1]

    def run_layers(
        self, inputs: Tensor, lengths: Tensor, blocks: Blocks | None = None, host_lengths: Tensor | None = None
    ) -> list[Tensor]:
        """Run all layers, and return the outputs of each.

        Args:
            inputs, lengths, host_lengths: see `RecurrentLayer.forward`.
            blocks: limit the look-ahead of a bidirectional stack; None: the layers run over whole utterances.
        """
        if blocks is not None and self.bidirectional:
            windows, valid = blocks.windows(inputs, lengths)
            outputs, _ = self.run_windows(windows, valid, blocks.size, states=self.start(inputs.shape[1]))
            return [output[: blocks.size].transpose(0, 1).flatten(0, 1)[: len(inputs)] for output in outputs]
        outputs = [inputs]
        for number, layer in enumerate(self.layers):
            outputs.append(self._finish_layer(number, outputs[-1], layer(outputs[-1], lengths, host_lengths)))
        return outputs[1:]

    def start(self, batch: int) -> list[Tensor]:
        """Return the states of each layer before the first frame: (batch, state_size) zeros."""
        like = next(self.parameters())
        return [like.new_zeros(batch, cast(RecurrentLayer, layer).state_size) for layer in self.layers]

    def run_windows(
        self, windows: Tensor, valid: Tensor, size: int, states: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Run all layers over the windows of consecutive blocks: see `RecurrentLayer.run_windows`.

        Returns:
            of each layer (width, blocks, batch, units) outputs, and its new states.
        """
        outputs, ends = [windows], []
        for number, (layer, state) in enumerate(zip(self.layers, states, strict=True)):
            new, end = cast(RecurrentLayer, layer).run_windows(outputs[-1], valid, size, states=state)
            outputs.append(self._finish_layer(number, outputs[-1], new))
            ends.append(end)
        return outputs[1:], ends

    def _finish_layer(self, number: int, inputs: Tensor, outputs: Tensor) -> Tensor:
        """Apply layer norm, dropout and the residual connection of a layer."""
        outputs = self.dropout(self.norms[number](outputs))
        return inputs + outputs if self.residual and number > 0 else outputs
