"""Write bundles: the models of one or several runs, small, in one folder that has a name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from speechrnn.core.errors import UserError
from speechrnn.core.files import copy_file, expand_user
from speechrnn.core.temporary import temporary_folder
from speechrnn.decoding.fusion import DecodingOptions, Weights, make_scorers
from speechrnn.decoding.ngram.kenlm import is_kenlm
from speechrnn.decoding.ngram.model import read_ngrams
from speechrnn.decoding.ngram.quantised import is_quantised, write_quantised
from speechrnn.decoding.tuned_weights import read_tuned, system_key, write_tuned
from speechrnn.export import export_directory
from speechrnn.nn.acoustic import load_acoustic
from speechrnn.nn.quantisation import WeightFormat
from speechrnn.transcription.bundle import NGRAMS, Bundle, find_ngram

KENLM = "ngram.bin"
QUANTISED = "ngram.q8"


def write_bundle(models: Bundle, output: str | Path, weight_format: WeightFormat) -> Bundle:
    """Write the models of a bundle into one folder, with their weights in a format, and n-grams with 8 bits.

    What was tuned for the models holds for the small ones, under their own fingerprints.

    >>> models = Bundle(Path("outputs/demo/acoustic"), Path("outputs/demo/language"))
    >>> write_bundle(models, "models/demo", "int8").acoustic  # doctest: +SKIP
    PosixPath('models/demo/acoustic')

    Args:
        models: an acoustic model with its language models, wherever they lie.
        output: the folder; it is made. Files in it that are no models, such as a model card, stay.
        weight_format: of the networks' weights.

    Raises:
        UserError: a model is missing or damaged, a language model does not fit to the acoustic one, there are models in
            the folder already, or it cannot be written.
    """
    output = expand_user(output)
    for part in ("acoustic", "language", *NGRAMS):
        if (output / part).exists():
            raise UserError(f"{output / part} is there already: remove it, or choose another output.")
    _, tokenizer = load_acoustic(models.acoustic)
    make_scorers(DecodingOptions(name="beam", ngram=models.ngram), models.language, Weights(), tokenizer=tokenizer)
    try:
        output.mkdir(parents=True, exist_ok=True)
        with temporary_folder(output) as folder:
            written = _write_parts(models, folder, weight_format)
            _carry_tuned_weights(models, written)
            for path in sorted(folder.iterdir()):
                path.replace(output / path.name)
    except OSError as error:
        raise UserError(f"Cannot write {output}: {error.strerror or error}; choose another output.") from error
    return Bundle(output / "acoustic", models.language and output / "language", find_ngram(output))


def _write_parts(models: Bundle, folder: Path, weight_format: WeightFormat) -> Bundle:
    """Write each model of a bundle into a folder; return the new ones."""
    export_directory(models.acoustic, folder / "acoustic", weight_format)
    if models.language is not None:
        export_directory(models.language, folder / "language", weight_format)
    if models.ngram is not None and is_kenlm(models.ngram):
        copy_file(models.ngram, folder / KENLM)
    elif models.ngram is not None and is_quantised(models.ngram):
        copy_file(models.ngram, folder / QUANTISED)
    elif models.ngram is not None:
        write_quantised(folder / QUANTISED, read_ngrams(models.ngram))
    return Bundle(folder / "acoustic", models.language and folder / "language", find_ngram(folder))


def _carry_tuned_weights(models: Bundle, written: Bundle) -> None:
    """Put what was tuned for the models under the fingerprints of the written ones, unless these were tuned, too."""
    tuned = read_tuned(models.acoustic)
    if not tuned:
        return
    beam = DecodingOptions(name="beam")
    for with_language, with_ngram in ((True, True), (True, False), (False, True)):
        before, after = (
            system_key(
                replace(beam, ngram=bundle.ngram if with_ngram else None), bundle.language if with_language else None
            )
            for bundle in (models, written)
        )
        if before in tuned:
            tuned.setdefault(after, tuned.pop(before))
    write_tuned(written.acoustic, tuned)
