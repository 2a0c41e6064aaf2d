"""The language model as an ONNX graph: one step from a state that the caller stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from speechrnn.export.graph import Graph
from speechrnn.nn.language import LanguageModel
from speechrnn.nn.softmax import AdaptiveSoftmax, MixtureOfSoftmaxes
from speechrnn.text.tokenizers import Tokenizer

if TYPE_CHECKING:
    import onnx


def language_graph(model: LanguageModel, tokenizer: Tokenizer) -> onnx.ModelProto:
    """Build the graph of one step of a language model, as `LanguageModel.score`.

    >>> graph = language_graph(*load_language("outputs/demo/language"))  # doctest: +SKIP

    Its inputs are `tokens` (batch,) int64 and `states` (batch, state_size) float32, zeros before a text; its outputs
    `log_probs` (batch, vocabulary) float32, natural log-probabilities of the next token, and `new_states`. A text
    begins as if token 0, the end of a line, stood before it. Its metadata has the `alphabet` (JSON, in the order of the
    tokens) and the `state_size`.
    """
    graph = Graph()
    weight = graph.constant(model.softmax.weight)
    vectors = weight if model.vectors is None else graph.constant(model.vectors)
    outputs = graph("Gather", vectors, "tokens")
    ends = []
    position = 0
    for layer in model.recurrent:
        units = layer.network.hidden_size
        states = []
        for _ in range(layer.state_size // units):
            places = graph.integers(position), graph.integers(position + units), graph.integers(1)
            states.append(graph("Unsqueeze", graph("Slice", "states", *places), graph.integers(0)))
            position += units
        _, last = graph.recurrent(graph("Unsqueeze", outputs, graph.integers(0)), layer, states=states)
        news = [graph("Squeeze", state, graph.integers(0)) for state in last]
        outputs = news[0]
        ends += news
    graph("Concat", *ends, axis=1, name="new_states")
    graph("Identity", add_softmax(graph, model, weight, outputs=outputs), name="log_probs")
    size = model.state_size
    return graph.model(
        "language",
        [("tokens", np.int64, ["batch"]), ("states", np.float32, ["batch", size])],
        [("log_probs", np.float32, ["batch", model.vocabulary]), ("new_states", np.float32, ["batch", size])],
        metadata={"kind": "language", "alphabet": tokenizer.symbols, "state_size": size},
    )


def add_softmax(graph: Graph, model: LanguageModel, weight: str, outputs: str) -> str:
    """Add a model's softmax, of whichever kind: (batch, dimensions) -> (batch, vocabulary) log-probabilities."""
    module = model.softmax
    bias = graph.constant(module.bias)
    if isinstance(module, MixtureOfSoftmaxes):
        latent = graph("Tanh", graph.linear(outputs, module.latent))
        # Each component is a row of its own until the scores are computed.
        rows = graph("Reshape", latent, graph.integers(-1, module.weight.shape[1]))
        scores = graph("Gemm", rows, weight, bias, transB=1)
        each = graph("Reshape", scores, graph.integers(-1, module.components, model.vocabulary))
        prior = graph("LogSoftmax", graph.linear(outputs, module.prior), axis=1)
        weighted = graph("Add", graph("LogSoftmax", each, axis=2), graph("Unsqueeze", prior, graph.integers(2)))
        return graph("ReduceLogSumExp", weighted, graph.integers(1), keepdims=0)
    if isinstance(module.fit, nn.Linear):
        outputs = graph.linear(outputs, module.fit)
    scores = graph("Gemm", outputs, weight, bias, transB=1)
    if not isinstance(module, AdaptiveSoftmax):
        return graph("LogSoftmax", scores, axis=1)

    def slice_columns(values: str, start: int, end: int) -> str:
        return graph("Slice", values, graph.integers(start), graph.integers(end), graph.integers(1))

    frequent = module.frequent
    head = graph("Concat", slice_columns(scores, 0, frequent), graph.linear(outputs, module.clusters), axis=1)
    first = graph("LogSoftmax", head, axis=1)
    parts = [slice_columns(first, 0, frequent)]
    for number, (start, end) in enumerate(module.ranges, start=frequent):
        within = graph("LogSoftmax", slice_columns(scores, start, end), axis=1)
        parts.append(graph("Add", within, slice_columns(first, number, number + 1)))
    return graph("Concat", *parts, axis=1)
