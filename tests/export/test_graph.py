"""Graphs written down by hand."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.core.errors import UserError
from speechrnn.export import graph as graphs
from speechrnn.export.graph import Graph, quantise_int8, require_packages


@given(st.integers(0, 10_000), st.sampled_from([0, 1]))
def test_int8_is_within_half_a_step_and_uses_the_whole_range(seed: int, axis: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(6, 5, generator=generator) * 10 ** torch.empty(1).uniform_(-6, 3, generator=generator)
    steps, scale = quantise_int8(weight, axis)
    size = torch.from_numpy(np.expand_dims(scale, axis))
    assert steps.dtype == torch.int8 and scale.shape == (weight.shape[1 - axis],)
    assert ((steps * size - weight).abs() <= 0.5001 * size).all()
    assert (steps.abs().amax(axis) == 127).all()


def test_int8_of_zeros_is_zeros() -> None:
    steps, scale = quantise_int8(torch.zeros(3, 2), 0)
    assert not steps.any() and (scale > 0).all()


def test_without_the_library_the_sentence_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=r"needs the package onnx; pip install 'speechrnn\[export\]'"):
        Graph()
    with pytest.raises(UserError, match="needs the package onnx"):
        require_packages("onnxruntime")


def test_a_model_beyond_the_file_format_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    monkeypatch.setattr(graphs, "LARGEST", 100)
    graph = Graph()
    graph("Add", "inputs", graph.constant(np.zeros(26, np.float32)), name="outputs")
    ends = [(name, np.float32, [26]) for name in ("inputs", "outputs")]
    with pytest.raises(UserError, match="larger than the 2 GB"):
        graph.model("sum", ends[:1], ends[1:], {})
