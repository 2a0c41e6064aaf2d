"""Export a model as one ONNX file, which runs without torch and without this package.

An acoustic model goes from waveforms to log-probabilities, for any number of recordings of any lengths; a language
model goes one token further from a state. Names and shapes are in the file, alphabet and sampling rate in its metadata.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from omegaconf import DictConfig

from speechrnn.cli.main import recipe
from speechrnn.core.config import build
from speechrnn.core.model_names import bundle_of, find_model_directory
from speechrnn.export import export_onnx


@dataclass(frozen=True)
class ExportOptions:
    """The keys of the recipe; conf/export.yaml explains them."""

    model: Path
    format: Literal["onnx"]
    output: Path | None


@recipe("export")
def main(config: DictConfig) -> None:
    """Nothing but the model directory is read."""
    options = build(ExportOptions, config, "")
    folder = find_model_directory(options.model, "acoustic")
    named = bundle_of(folder)  # a model of the package or of the user's folders of models, where nothing is to be put
    beside = folder / f"model.{options.format}" if named is None else Path(f"{named.name}.{options.format}")
    output = options.output or beside
    kind = export_onnx(folder, output)
    print(f"{kind} model, {output.stat().st_size / 1e6:.1f} MB: {output}")


if __name__ == "__main__":
    main()
