"""Models as ONNX files, for programs without torch, and for onnxruntime as an engine."""

from __future__ import annotations

import json
from pathlib import Path

from speechrnn.core.files import atomic_write
from speechrnn.export.acoustic import acoustic_graph
from speechrnn.export.graph import require
from speechrnn.export.language import language_graph
from speechrnn.nn.acoustic import load_acoustic
from speechrnn.nn.checkpoint import DESCRIPTION
from speechrnn.nn.language import load_language


def export_onnx(folder: str | Path, output: str | Path) -> str:
    """Writes a model directory's model as one ONNX file; see `acoustic_graph` and `language_graph`.

    Returns:
        the kind of the model, "acoustic" or "language".

    Raises:
        UserError: no model directory; a file that cannot be written, or would be too large; onnx is not installed.
    """
    require()
    kind = _kind(Path(folder))
    graph = language_graph(*load_language(folder)) if kind == "language" else acoustic_graph(*load_acoustic(folder))
    with atomic_write(output, "wb") as file:
        file.write(graph.SerializeToString())
    return kind


def _kind(folder: Path) -> str:
    """What the directory says it is; where it says nothing, loading it as an acoustic model says what is wrong."""
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        return "language" if description["kind"] == "language" else "acoustic"
    except (OSError, ValueError, KeyError, TypeError):
        return "acoustic"
