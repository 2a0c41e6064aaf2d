"""The acoustic model as one ONNX graph, for any number of utterances of any lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from torch import nn

from speechrnn.export.front_end import add_front_end
from speechrnn.export.graph import Graph, Inputs
from speechrnn.nn.acoustic import AcousticModel, ConvolutionalSubsampling, StackFrames
from speechrnn.nn.recurrent import RecurrentLayer, RecurrentStack
from speechrnn.text.tokenizers import Tokenizer

if TYPE_CHECKING:
    import onnx

OUTPUTS = ("log_probs", "frames")


def acoustic_graph(model: AcousticModel, tokenizer: Tokenizer) -> onnx.ModelProto:
    """Build the graph of an acoustic model, front end included.

    >>> graph = acoustic_graph(*load_acoustic("outputs/demo/acoustic"))  # doctest: +SKIP

    Its inputs are `waveforms` (batch, samples) float32, padded with zeros, and `lengths` (batch,) int64 samples; its
    outputs `log_probs` (batch, frames, symbols) float32, natural logarithms, and `frames` (batch,) int64. Its metadata
    has the `alphabet` (JSON, in the order of the symbols; the first is CTC's blank), `sampling_rate` (Hz) and
    `seconds_per_frame`.
    """
    graph = Graph()
    features, frames = add_front_end(graph, model.front_end, "waveforms", lengths="lengths")
    inputs: Inputs = [("waveforms", np.float32, ["batch", "samples"]), ("lengths", np.int64, ["batch"])]
    metadata = {
        "kind": "acoustic",
        "alphabet": tokenizer.symbols,
        "sampling_rate": model.front_end.options.sampling_rate,
        "seconds_per_frame": model.seconds_per_frame,
    }
    return _finish(graph, model, features, frames=frames, inputs=inputs, metadata=metadata, int8=False)


def network_graph(model: AcousticModel, int8: bool = False) -> onnx.ModelProto:
    """Build the graph of an acoustic model without its front end.

    Its inputs are `features` (batch, frames, dimensions), normalised, and `lengths` (batch,); its outputs those of
    `acoustic_graph`.

    Args:
        model: the model.
        int8: recurrent and linear layers in dynamic int8; the recurrent cells must be lstm.
    """
    inputs: Inputs = [
        ("features", np.float32, ["batch", "frames", model.front_end.dimensions]),
        ("lengths", np.int64, ["batch"]),
    ]
    return _finish(Graph(), model, "features", frames="lengths", inputs=inputs, metadata={}, int8=int8)


def _finish(
    graph: Graph, model: AcousticModel, features: str, frames: str, inputs: Inputs, metadata: dict[str, Any], int8: bool
) -> onnx.ModelProto:
    """Add all that comes after the features, and return the finished model."""
    outputs, frames = add_subsampling(graph, model.subsampling, features, frames=frames)
    outputs = graph.linear(outputs, model.input, int8)
    # (batch, frames, units) -> (frames, batch, units)
    outputs = add_recurrent_stack(
        graph, model.recurrent, graph("Transpose", outputs, perm=[1, 0, 2]), frames=frames, int8=int8
    )
    logits = graph.linear(graph("Transpose", outputs, perm=[1, 0, 2]), model.head, int8)
    graph("LogSoftmax", logits, axis=2, name=OUTPUTS[0])
    graph("Identity", frames, name=OUTPUTS[1])
    symbols = model.head.out_features
    shapes: Inputs = [
        (OUTPUTS[0], np.float32, ["batch", "network_frames", symbols]),
        (OUTPUTS[1], np.int64, ["batch"]),
    ]
    return graph.model("acoustic", inputs, shapes, metadata=metadata)


def add_subsampling(
    graph: Graph, module: StackFrames | ConvolutionalSubsampling, features: str, frames: str
) -> tuple[str, str]:
    """Add the subsampling: (batch, frames, dims), (batch,) -> (batch, frames / stride, other dims), (batch,)."""
    stride, unit = graph.integers(module.stride), graph.integers(1)
    if isinstance(module, StackFrames):
        spare = graph.integers(module.stride - 1)
        groups = graph("Div", graph("Add", graph.size(features, 1), spare), stride)
        filled = graph("Pad", features, graph.integers(0, 0, 0, 0, module.stride - 1, 0))
        whole = graph("Slice", filled, graph.integers(0), graph("Mul", groups, stride), unit)
        outputs = graph("Reshape", whole, graph.integers(0, -1, module.dimensions))
        return outputs, graph("Div", graph("Add", frames, spare), stride)
    outputs = add_convolution(graph, module.first, graph("Unsqueeze", features, unit))
    frames = graph("Add", graph("Div", graph("Sub", frames, unit), stride), unit)
    inside = graph.mask(frames, graph.size(outputs, 2))
    outputs = graph("Mul", outputs, graph("Unsqueeze", inside, graph.integers(1, 3)))
    outputs = graph("Transpose", add_convolution(graph, module.second, outputs), perm=[0, 2, 1, 3])
    return graph("Reshape", outputs, graph.integers(0, 0, module.dimensions)), frames


def add_convolution(graph: Graph, module: nn.Conv2d, inputs: str) -> str:
    """Add a convolution and its ReLU."""
    high, wide = (int(size) for size in module.padding)
    parameters = [graph.constant(tensor) for tensor in (module.weight, module.bias)]
    return graph("Relu", graph("Conv", inputs, *parameters, strides=module.stride, pads=[high, wide, high, wide]))


def add_recurrent_stack(graph: Graph, stack: RecurrentStack, inputs: str, frames: str, int8: bool) -> str:
    """Add the recurrent layers: (frames, batch, units), (batch,) int64 -> (frames, batch, units).

    ONNX's operators reverse each row by its own length.
    """
    lengths = graph("Cast", frames, to=6)  # int32
    outputs = inputs
    for number, (layer, norm) in enumerate(zip(stack.layers, stack.norms, strict=True)):
        both, _ = graph.recurrent(outputs, cast(RecurrentLayer, layer), lengths, int8=int8)
        new = graph("ReduceSum", both, graph.integers(1), keepdims=0)  # over the directions
        if isinstance(norm, nn.LayerNorm):
            new = graph.norm(new, norm)
        outputs = graph("Add", outputs, new) if stack.residual and number > 0 else new
    return outputs
