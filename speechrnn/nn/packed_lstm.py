"""LSTM layers for inference on a CPU, whose weights are brought into oneDNN's order once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

LSTM_MODE = 2  # of aten's recurrent operators
TYPES = (torch.float32, torch.bfloat16)


class PackedLstm:
    """Run one direction of an LSTM layer with packed weights.

    `torch.lstm` packs the weights at each call, which takes as long as ten frames of one stream. The results are the
    same, bit for bit. torch has the operators for its compiler, which packs the weights of a frozen graph.

    >>> lstm = torch.nn.LSTM(4, 8).requires_grad_(False)
    >>> packed = PackedLstm([lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0, lstm.bias_hh_l0])
    >>> outputs, hidden, cell = packed(torch.zeros(5, 2, 4), torch.zeros(1, 2, 8), torch.zeros(1, 2, 8))
    >>> outputs.shape, cell.shape
    (torch.Size([5, 2, 8]), torch.Size([1, 2, 8]))
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        """Pack the weights.

        Args:
            parameters: input weight, recurrent weight and the two biases, as torch has them; see `can_pack`.
        """
        inputs, recurrent, *self._biases = (part.detach() for part in parameters)
        self._units = recurrent.shape[1]
        self._packed_from = versions(parameters)
        # arguments after the weights: units, reverse, has_biases, batch_first
        self._weights = torch.ops.mkldnn._reorder_mkldnn_rnn_layer_weight(
            inputs, recurrent, self._units, False, True, False
        )

    def __deepcopy__(self, memo: dict[int, object]) -> PackedLstm:
        """Return the same layer, since oneDNN's tensors cannot be copied; it does not fit to copied parameters."""
        return self

    def fits(self, parameters: Sequence[Tensor]) -> bool:
        """Return whether these are the parameters that were packed, and have not changed since."""
        return self._packed_from == versions(parameters)

    def __call__(self, inputs: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run the layer without gradients.

        Args:
            inputs: (frames, batch, input_size), of the type of the weights; not empty.
            hidden, cell: (1, batch, units) states before the first frame.

        Returns:
            (frames, batch, units) outputs, and (1, batch, units) hidden and cell states after the last frame.
        """
        (input_weight, recurrent_weight), (input_bias, recurrent_bias) = self._weights, self._biases
        outputs, hidden, cell, _ = torch.ops.aten.mkldnn_rnn_layer(
            inputs.contiguous(),  # the operator takes that for granted
            input_weight,
            recurrent_weight,
            input_bias,
            recurrent_bias,
            hx_=hidden.contiguous(),
            cx_=cell.contiguous(),
            reverse=False,
            batch_sizes=[],
            mode=LSTM_MODE,
            hidden_size=self._units,
            num_layers=1,
            has_biases=True,
            bidirectional=False,
            batch_first=False,
            train=False,
        )
        return outputs, hidden, cell


def versions(parameters: Sequence[Tensor]) -> list[tuple[int, int]]:
    """Return place in memory and version of each parameter: torch counts the changes of a tensor."""
    return [(part.data_ptr(), part._version) for part in parameters]


def can_pack(weight: Tensor) -> bool:
    """Return whether this torch has packed LSTM layers for weights of such a type and device.

    >>> can_pack(torch.zeros(4, 4, dtype=torch.float64))
    False
    """
    operators = hasattr(torch.ops.mkldnn, "_reorder_mkldnn_rnn_layer_weight")
    usable = operators and torch.backends.mkldnn.is_available()
    return usable and weight.device.type == "cpu" and weight.dtype in TYPES and not weight.is_inference()
