"""Models for others: ONNX files, onnxruntime as a runtime of the acoustic model, directories with small weights."""

from __future__ import annotations

from pathlib import Path

from speechrnn.core.files import atomic_write
from speechrnn.core.model_names import find_model_directory
from speechrnn.export.acoustic import acoustic_graph
from speechrnn.export.directory import export_directory
from speechrnn.export.graph import require_packages
from speechrnn.export.language import language_graph
from speechrnn.nn.acoustic import load_acoustic
from speechrnn.nn.checkpoint import read_kind
from speechrnn.nn.language import load_language

__all__ = ["acoustic_graph", "export_directory", "export_onnx", "language_graph"]


def export_onnx(folder: str | Path, output: str | Path) -> str:
    """Write the model of a model directory as one ONNX file; see `acoustic_graph` and `language_graph`.

    >>> export_onnx("outputs/demo/acoustic", "acoustic.onnx")  # doctest: +SKIP
    'acoustic'

    Args:
        folder: the model directory, or a name; a folder of both kinds is taken for its acoustic model.
        output: the file.

    Returns:
        the kind of the model, "acoustic" or "language".

    Raises:
        UserError: there is no model directory, the file cannot be written or would be too large, or onnx is not
            installed.
    """
    require_packages()
    folder = find_model_directory(folder, "acoustic")
    kind = read_kind(folder)
    graph = language_graph(*load_language(folder)) if kind == "language" else acoustic_graph(*load_acoustic(folder))
    with atomic_write(output, "wb") as file:
        file.write(graph.SerializeToString())
    return kind
