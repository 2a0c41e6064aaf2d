"""Export a model: as one ONNX file, which runs without torch, or as a model directory with small weights.

In ONNX, an acoustic model goes from waveforms to log-probabilities, for any number of recordings of any lengths; a
language model goes one token further from a state. Names and shapes are in the file, alphabet and sampling rate in its
metadata. A directory with weights in int8 is a quarter as large, and is used as any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from omegaconf import DictConfig

from speechrnn.cli.main import recipe
from speechrnn.core.config import build
from speechrnn.core.errors import UserError
from speechrnn.core.files import folder_size
from speechrnn.core.model_names import bundle_of, find_model_directory
from speechrnn.export import export_directory, export_onnx
from speechrnn.nn.quantisation import WeightFormat


@dataclass(frozen=True)
class ExportOptions:
    """The keys of the recipe; conf/export.yaml explains them."""

    model: Path
    format: Literal["onnx", "directory"]
    weights: WeightFormat
    output: Path | None


@recipe("export")
def main(config: DictConfig) -> None:
    """Nothing but the model directory is read."""
    options = build(ExportOptions, config, "")
    folder = find_model_directory(options.model, "acoustic")
    if options.format == "onnx":
        named = bundle_of(folder)  # of the package or the user's folders of models, where nothing is to be put
        output = options.output or (folder / "model.onnx" if named is None else Path(f"{named.name}.onnx"))
        kind = export_onnx(folder, output)
    elif options.output is None:
        raise UserError("format=directory needs a place: give output=DIR.")
    else:
        output = options.output
        kind = export_directory(folder, output, options.weights)
    print(f"{kind} model, {folder_size(output) / 1e6:.1f} MB: {output}")


if __name__ == "__main__":
    main()
