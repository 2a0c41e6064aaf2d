"""The language model as an ONNX graph: one token further, from a state that the caller keeps."""

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
    """One step of the model, as `LanguageModel.score`.

    `tokens` (batch,) int64 and `states` (batch, state_size) float32, zeros before a text ->
    `log_probs` (batch, vocabulary) float32, natural logarithms of what comes next, and `new_states`. A text begins as
    if token 0, the end of a line, stood before it. Its metadata holds the `alphabet` (JSON, in the order of the
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
    graph("Identity", softmax(graph, model, weight, outputs), name="log_probs")
    size = model.state_size
    return graph.model(
        "language",
        [("tokens", np.int64, ["batch"]), ("states", np.float32, ["batch", size])],
        [("log_probs", np.float32, ["batch", model.vocabulary]), ("new_states", np.float32, ["batch", size])],
        {"kind": "language", "alphabet": tokenizer.symbols, "state_size": size},
    )


def softmax(graph: Graph, model: LanguageModel, weight: str, outputs: str) -> str:
    """(batch, dimensions) -> (batch, vocabulary) log-probabilities, for each of the softmaxes that there are."""
    module = model.softmax
    bias = graph.constant(module.bias)
    if isinstance(module, MixtureOfSoftmaxes):
        latent = graph("Tanh", graph.linear(outputs, module.latent))
        # Components are rows of their own for as long as they take to become scores.
        rows = graph("Reshape", latent, graph.integers(-1, module.weight.shape[1]))
        scores = graph("Gemm", rows, weight, bias, transB=1)
        each = graph("Reshape", scores, graph.integers(-1, module.components, model.vocabulary))
        prior = graph("LogSoftmax", graph.linear(outputs, module.prior), axis=1)
        weighed = graph("Add", graph("LogSoftmax", each, axis=2), graph("Unsqueeze", prior, graph.integers(2)))
        return graph("ReduceLogSumExp", weighed, graph.integers(1), keepdims=0)
    if isinstance(module.fit, nn.Linear):
        outputs = graph.linear(outputs, module.fit)
    scores = graph("Gemm", outputs, weight, bias, transB=1)
    if not isinstance(module, AdaptiveSoftmax):
        return graph("LogSoftmax", scores, axis=1)

    def between(values: str, start: int, end: int) -> str:
        return graph("Slice", values, graph.integers(start), graph.integers(end), graph.integers(1))

    frequent = module.frequent
    head = graph("Concat", between(scores, 0, frequent), graph.linear(outputs, module.clusters), axis=1)
    first = graph("LogSoftmax", head, axis=1)
    parts = [between(first, 0, frequent)]
    for number, (start, end) in enumerate(module.ranges, start=frequent):
        within = graph("LogSoftmax", between(scores, start, end), axis=1)
        parts.append(graph("Add", within, between(first, number, number + 1)))
    return graph("Concat", *parts, axis=1)
