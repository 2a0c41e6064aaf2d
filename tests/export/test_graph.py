"""Graphs written down by hand."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from speechrnn.core.errors import UserError
from speechrnn.export import graph as graphs
from speechrnn.export.graph import Graph, require_packages


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
        graph.model("sum", ends[:1], ends[1:], metadata={})
