"""Model directories with small weights: for shipping and for small machines."""

from __future__ import annotations

from pathlib import Path

from speechrnn.core.errors import UserError
from speechrnn.core.files import copy_file, expand_user
from speechrnn.core.model_names import DESCRIPTION, WEIGHTS, find_model_directory
from speechrnn.nn.acoustic import load_acoustic
from speechrnn.nn.checkpoint import load_model, read_kind, save_model
from speechrnn.nn.language import load_language
from speechrnn.nn.quantisation import WeightFormat

LEFT_OUT = (".onnx", ".tmp")  # ends of names of files that do not travel with a model


def export_directory(folder: str | Path, output: str | Path, weight_format: WeightFormat) -> str:
    """Copy a model directory, with its weights in a format; the other files beside the model travel along.

    >>> export_directory("outputs/demo/acoustic", "models/demo/acoustic", "int8")  # doctest: +SKIP
    'acoustic'

    Args:
        folder: the model directory, or a name; a folder of both kinds is taken for its acoustic model.
        output: the new directory; it is made.
        weight_format: of the new weights.

    Returns:
        the kind of the model, "acoustic" or "language".

    Raises:
        UserError: there is no whole model directory, the output is that directory or holds something else, or it cannot
            be written.
    """
    folder, output = find_model_directory(folder, "acoustic"), expand_user(output)
    kind = read_kind(folder)
    if output.exists() and output.resolve() == folder.resolve():
        raise UserError(f"output={output} is the directory of the model itself; choose another output.")
    if output.is_file() or (output.is_dir() and any(output.iterdir()) and not (output / DESCRIPTION).is_file()):
        raise UserError(f"output={output} is there and is no model directory; choose another output, or remove it.")
    load_language(folder) if kind == "language" else load_acoustic(folder)  # refuses what would not load later
    description, weights = load_model(folder, kind)
    save_model(output, kind, description, weights=weights, weight_format=weight_format)
    for path in sorted(folder.iterdir()):
        if path.name in (DESCRIPTION, WEIGHTS) or path.name.startswith(".") or path.suffix in LEFT_OUT:
            continue
        if path.is_file():
            copy_file(path, output / path.name)
    return kind
