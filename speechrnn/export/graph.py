"""ONNX graphs built operator by operator: an exported file depends on the model, not on how torch runs it."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from speechrnn.core.errors import UserError
from speechrnn.nn.quantisation import quantise_int8
from speechrnn.nn.recurrent import RecurrentLayer
from speechrnn.version import __version__

if TYPE_CHECKING:
    import onnx

OPSET = 18  # of ONNX's operators; onnxruntime 1.14 (2023) and later know it
IR_VERSION = 8  # of the file format that goes with it
LARGEST = 2**31 - 2**20  # bytes; protobuf, the file's format, ends at 2 GiB
MICROSOFT = "com.microsoft"  # onnxruntime's own operators

# torch's gates in the order that ONNX has them: input, output, forget, cell; update, reset, new.
GATES = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn_tanh": (0,)}
OPERATORS = {"lstm": "LSTM", "gru": "GRU", "rnn_tanh": "RNN"}

Inputs = Sequence[tuple[str, type, Sequence[str | int]]]
"""Name, numpy type and shape (names for free axes) of a graph's inputs or outputs."""


def require_packages(*packages: str) -> None:
    """Check that onnx and other packages are installed.

    Raises:
        UserError: one is not; the message says how to install it.
    """
    for package in ("onnx", *packages):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise UserError(f"ONNX needs the package {package}; pip install 'speechrnn[export]'.") from error


class Graph:
    """An ONNX graph under construction; values are known by their names.

    >>> graph = Graph()
    >>> graph("Add", "inputs", graph.constant(np.float32(1)), name="outputs")
    'outputs'
    """

    def __init__(self) -> None:
        require_packages()
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}

    def __call__(self, operator: str, *inputs: str, name: str = "", domain: str = "", **attributes: Any) -> str:
        """Add an operator; return the name of its (first) result, a new name where none is given."""
        from onnx import helper

        name = name or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], domain=domain or None, **attributes))
        return name

    def constant(self, values: Any) -> str:
        """Add constant numbers, such as a model's weights; return their name."""
        name = f"constant_{len(self.constants)}"
        self.constants[name] = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
        return name

    def integers(self, *values: int) -> str:
        """Add (values,) int64 constants, as axes and shapes need them."""
        return self.constant(np.array(values, np.int64))

    def size(self, inputs: str, axis: int) -> str:
        """Add the size of an axis: (1,) int64."""
        return self("Shape", inputs, start=axis, end=axis + 1)

    def positions(self, count: str, start: int = 0) -> str:
        """Add the numbers start, start + 1, ... int64; `count` is (1,)."""
        end = self("Add", count, self.integers(start))
        scalar = self("Squeeze", end)
        return self("Range", self.constant(np.int64(start)), scalar, self.constant(np.int64(1)))

    def mask(self, lengths: str, count: str) -> str:
        """Add a mask: (batch,) lengths, (1,) count -> (batch, count) float32, 1 within each length."""
        inside = self("Less", self.positions(count), self("Unsqueeze", lengths, self.integers(1)))
        return self("Cast", inside, to=1)

    def linear(self, inputs: str, layer: nn.Linear, int8: bool = False) -> str:
        """Add a linear layer: (..., in) -> (..., out); with `int8` in dynamic int8."""
        weight = layer.weight.detach().t()
        if int8:
            steps, scale = quantise_int8(weight, 0)
            zero = np.zeros(tuple(scale.shape), np.int8)
            parts = (self.constant(values) for values in (steps, scale, zero))
            product = self("DynamicQuantizeMatMul", inputs, *parts, domain=MICROSOFT)
        else:
            product = self("MatMul", inputs, self.constant(weight.contiguous()))
        return product if layer.bias is None else self("Add", product, self.constant(layer.bias))

    def recurrent(
        self, inputs: str, layer: RecurrentLayer, lengths: str = "", states: Sequence[str] = (), int8: bool = False
    ) -> tuple[str, list[str]]:
        """Add a recurrent layer.

        Args:
            inputs: (frames, batch, in).
            layer: its parameters.
            lengths: (batch,) int32 valid frames, beyond which the outputs are 0; "": all frames are valid.
            states: first states, (directions, batch, units) each: hidden and cell state of an lstm; none: zeros.
            int8: store the weights in int8 and round inputs and states at run time; only lstm.

        Returns:
            (frames, directions, batch, units) outputs, and the last states, (directions, batch, units) each.
        """
        from onnx import helper

        weights, recurrent, biases = stack_directions(layer)
        tensors = {"W": weights, "R": recurrent}
        first = [*states, *[""] * (2 - len(states))] if layer.cell == "lstm" else [*states]
        attributes: dict[str, Any] = {"hidden_size": layer.network.hidden_size}
        if layer.network.bidirectional:
            attributes["direction"] = "bidirectional"
        if layer.cell == "gru":
            attributes["linear_before_reset"] = 1
        operator, domain, extra = OPERATORS[layer.cell], None, []
        if int8:
            operator, domain = "DynamicQuantizeLSTM", MICROSOFT
            extra = [""]  # peepholes
            for name, tensor in tensors.items():
                tensors[name], scale = quantise_int8(tensor.transpose(1, 2), 1)  # (directions, in, gates * units)
                extra += [self.constant(scale), self.constant(np.zeros(tuple(scale.shape), np.int8))]
        given = [*(self.constant(tensor) for tensor in tensors.values()), self.constant(biases), lengths, *first]
        number = len(self.nodes)
        names = [f"{layer.cell}_{number}_{part}" for part in ("outputs", "state", "cell")]
        names = names if layer.cell == "lstm" else names[:2]
        self.nodes.append(helper.make_node(operator, [inputs, *given, *extra], names, domain=domain, **attributes))
        return names[0], names[1:]

    def norm(self, inputs: str, layer: nn.LayerNorm) -> str:
        """Add a layer norm over the last dimension."""
        weight, bias = self.constant(layer.weight), self.constant(layer.bias)
        return self("LayerNormalization", inputs, weight, bias, epsilon=layer.eps)

    def model(self, name: str, inputs: Inputs, outputs: Inputs, metadata: Mapping[str, Any]) -> onnx.ModelProto:
        """Return the finished, checked model; metadata that is not text is written as JSON.

        Raises:
            UserError: the model is larger than the file format allows.
        """
        from onnx import checker, helper, numpy_helper

        if sum(values.nbytes for values in self.constants.values()) > LARGEST:
            raise UserError("The model is larger than the 2 GB that an ONNX file can hold; train a smaller one.")
        ends = [
            [helper.make_tensor_value_info(key, helper.np_dtype_to_tensor_dtype(np.dtype(kind)), shape)]
            for key, kind, shape in (*inputs, *outputs)
        ]
        values = [value for (value,) in ends]
        initial = [numpy_helper.from_array(np.ascontiguousarray(array), key) for key, array in self.constants.items()]
        graph = helper.make_graph(self.nodes, name, values[: len(inputs)], values[len(inputs) :], initial)
        opsets = [helper.make_opsetid("", OPSET)]
        if any(node.domain == MICROSOFT for node in self.nodes):
            opsets.append(helper.make_opsetid(MICROSOFT, 1))
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        model.producer_name, model.producer_version = "speechrnn", __version__
        texts = {
            key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for key, value in metadata.items()
        }
        helper.set_model_props(model, texts)
        checker.check_model(model)
        return model


def stack_directions(layer: RecurrentLayer) -> tuple[Tensor, Tensor, Tensor]:
    """Return a layer's parameters in the layout of ONNX.

    Returns:
        (directions, gates * units, in), (directions, gates * units, units) and (directions, 2 * gates * units).
    """
    order = GATES[layer.cell]
    units = layer.network.hidden_size
    found = []
    for suffix in ("_l0", "_l0_reverse") if layer.network.bidirectional else ("_l0",):
        parameters = [tensor.detach().cpu().split(units) for tensor in layer.direction_parameters(suffix)]
        weight, recurrent, *biases = [torch.cat([gates[number] for number in order]) for gates in parameters]
        found.append((weight, recurrent, torch.cat(biases)))
    weights, recurrents, both = zip(*found, strict=True)
    return torch.stack(weights), torch.stack(recurrents), torch.stack(both)
