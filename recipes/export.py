"""Export a model: as one ONNX file, which runs without torch, or as small directories.

In ONNX, an acoustic model goes from waveforms to log-probabilities, for any number of recordings of any lengths; a
language model goes one token further from a state. Names and shapes are in the file, alphabet and sampling rate in its
metadata. A directory with weights in int8 is a quarter as large, and is used as any other. A bundle is a folder with
all that speech needs: an acoustic model, a language model and an n-gram model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from omegaconf import DictConfig

from speechrnn.cli.main import recipe
from speechrnn.core.config import build
from speechrnn.core.errors import UserError
from speechrnn.core.files import check_not_read, folder_size
from speechrnn.core.model_names import bundle_of, find_model_directory
from speechrnn.export import export_directory, export_onnx
from speechrnn.nn.quantisation import WeightFormat
from speechrnn.transcription.bundle import Bundle, find_bundle, find_ngram
from speechrnn.transcription.bundle_writer import write_bundle
from speechrnn.transcription.options import AUTO


@dataclass(frozen=True)
class ExportOptions:
    """The keys of the recipe; conf/export.yaml explains them."""

    model: Path
    format: Literal["onnx", "directory", "bundle"]
    weights: WeightFormat
    language_model: str | None
    ngram: str | None
    output: Path | None


@recipe("export")
def main(config: DictConfig) -> None:
    """Write an ONNX file, a model directory with small weights, or a bundle."""
    options = build(ExportOptions, config, "")
    if options.format != "bundle" and not {options.language_model, options.ngram} <= {AUTO, None}:
        raise UserError("language_model= and ngram= are parts of a bundle: add format=bundle.")
    if options.format == "onnx" and options.weights != "float32":
        raise UserError(
            f"weights={options.weights} is for format=directory and format=bundle; an ONNX file holds float32, so "
            "leave weights= out."
        )
    if options.format == "onnx":
        write_onnx(options)
    elif options.output is None:
        raise UserError(f"format={options.format} needs a place: give output=DIR.")
    elif options.format == "directory":
        print_size(export_directory(options.model, options.output, options.weights), options.output)
    else:
        bundle = write_bundle(choose_models(options), options.output, options.weights)
        for part in (bundle.acoustic, bundle.language, bundle.ngram):
            if part is not None:
                print(f"{folder_size(part) / 1e6:6.1f} MB  {part}")
        print(f"{folder_size(options.output) / 1e6:6.1f} MB  {options.output}, for model={options.output}")


def write_onnx(options: ExportOptions) -> None:
    """Write the model as one ONNX file; without output=, into the directory of the model."""
    folder = find_model_directory(options.model, "acoustic")
    named = bundle_of(folder)  # a model with a name lies in a folder of models, into which no file is written
    output = options.output or (folder / "model.onnx" if named is None else Path(f"{named.name}.onnx"))
    check_not_read(output, {"model": (path for path in folder.iterdir() if path.suffix != ".onnx")})
    print_size(export_onnx(folder, output), output)


def print_size(kind: str, output: Path) -> None:
    """Print what was written."""
    print(f"{kind} model, {folder_size(output) / 1e6:.1f} MB: {output}")


def choose_models(options: ExportOptions) -> Bundle:
    """Return the models of a new bundle: those that the options name, or those beside the acoustic model.

    Raises:
        UserError: there is no such model.
    """
    found = find_bundle(options.model)
    if options.language_model != AUTO:
        language = options.language_model and find_model_directory(options.language_model, "language")
        found = replace(found, language=language or None)
    if options.ngram != AUTO:
        ngram = find_ngram(options.ngram) if options.ngram else None
        if options.ngram and ngram is None:
            raise UserError(f"ngram={options.ngram} is no n-gram file, and no folder of a run with one.")
        found = replace(found, ngram=ngram)
    return found


if __name__ == "__main__":
    main()
