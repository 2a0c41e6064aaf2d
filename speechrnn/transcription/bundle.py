"""Bundles: an acoustic model with the language models that are made for it, and how these are decoded by default."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from speechrnn.core.errors import UserError
from speechrnn.core.files import expand_user
from speechrnn.core.model_names import DESCRIPTION, bundle_of, find_model, find_model_directory
from speechrnn.decoding.fusion import NGRAM, DecodingOptions, with_model_directories
from speechrnn.decoding.ngram.kenlm import is_kenlm
from speechrnn.decoding.tuned_weights import find_tuned, read_tuned, system_key
from speechrnn.transcription.options import AUTO, TranscriptionOptions
from speechrnn.transcription.streaming_options import StreamingOptions

NGRAMS = ("ngram.q8", "ngram.bin", "ngram.arpa.gz", "ngram.arpa")  # names of the n-gram file, the first that is there


OptionsT = TypeVar("OptionsT", TranscriptionOptions, StreamingOptions)


@dataclass(frozen=True)
class Bundle:
    """Hold the parts of a bundle; the folder of a speech_to_text run is one, too.

    Attributes:
        acoustic: directory of the acoustic model.
        language: directory of the language model; None: there is none.
        ngram: the n-gram file; None: there is none.
    """

    acoustic: Path
    language: Path | None = None
    ngram: Path | None = None


def find_bundle(name_or_path: str | Path) -> Bundle:
    """Return the parts of a bundle; a plain model directory is one without language models.

    >>> find_bundle("english").language.name  # doctest: +SKIP
    'language'

    Args:
        name_or_path: see `find_model`.

    Raises:
        UserError: there is no such model.
    """
    folder = find_model(name_or_path)
    acoustic = find_model_directory(folder, "acoustic")
    if acoustic == folder:
        return Bundle(acoustic)
    language = folder / "language"
    return Bundle(acoustic, language if (language / DESCRIPTION).is_file() else None, find_ngram(folder))


def find_ngram(path: str | Path) -> Path | None:
    """Return the n-gram file of a bundle or a run, or the file itself; None where there is none.

    >>> find_ngram("outputs/text_prediction/words")  # doctest: +SKIP
    PosixPath('outputs/text_prediction/words/ngram.q8')

    Raises:
        UserError: a folder has the name of an n-gram file.
    """
    path = expand_user(path)
    for file in (path, *(path / name for name in NGRAMS)):
        if file.is_dir() and file.name in NGRAMS:
            raise UserError(f"{file} is a folder; put an n-gram file in its place, or remove it.")
        if file.is_file():
            return file
    return None


def resolve_models(model: str | Path, options: OptionsT) -> tuple[Path, OptionsT]:
    """Find the models that a transcriber, or a recogniser of streams, needs by their names, and choose the decoding.

    A bundle with language models is decoded by the beam search, with those of them that were tuned together; any other
    model greedily. A language model or an n-gram model that the options name takes the place of the bundle's.

    Args:
        model: name or directory.
        options: of the transcriber, or of streams.

    Returns:
        the directory of the acoustic model, and options that name directories only.

    Raises:
        UserError: there is no such model.
    """
    bundle = find_bundle(model)
    fused = bundle.language is not None or bundle.ngram is not None
    decoding = options.decoding or DecodingOptions(name="beam" if fused else "greedy")
    assert isinstance(decoding, DecodingOptions)
    decoding = with_model_directories(decoding)
    language: Path | None = None
    if options.language_model == AUTO:
        if decoding.name == "beam" and decoding.ngram is None:
            decoding, language = _with_language_models(decoding, bundle)
    elif options.language_model is not None:
        language = find_model_directory(options.language_model, "language")
    # As numbers in place of "auto", so that a job's record says with which search it was made.
    decoding = decoding.with_search(find_tuned(read_tuned(bundle.acoustic), decoding, language).search)
    return bundle.acoustic, replace(options, decoding=decoding, language_model=language)


def model_name(acoustic: Path) -> str:
    """Return the name of an acoustic model in transcripts: that of its bundle, or its directory.

    >>> model_name(Path("outputs/demo/acoustic"))
    'outputs/demo/acoustic'
    """
    bundle = bundle_of(acoustic)
    return str(acoustic) if bundle is None else bundle.name


def _with_language_models(decoding: DecodingOptions, bundle: Bundle) -> tuple[DecodingOptions, Path | None]:
    """Return the decoding with the bundle's n-gram model, and its language model, where they were tuned together.

    Otherwise only that which was tuned, or else the language model, is taken.
    """
    ngram = bundle.ngram
    if ngram is not None and is_kenlm(ngram) and importlib.util.find_spec("flashlight") is None:
        print(f"speechrnn: {ngram} is left out, since flashlight-text has no wheel for this Python.", file=sys.stderr)
        ngram = None
    systems = [(bundle.language, ngram), (bundle.language, None), (None, ngram)]
    wanted = [(language, file) for language, file in systems if language is not None or file is not None]
    tuned = read_tuned(bundle.acoustic)
    for language, file in wanted:
        if system_key(replace(decoding, ngram=file, rescoring_model=None), language) in tuned:
            return replace(decoding, ngram=file), language
    if ngram is not None and any(key.startswith(f"{NGRAM}:") for key in tuned):
        # Another file than the one that was tuned: if it is damaged, its reader says so.
        return replace(decoding, ngram=ngram), None
    for language, file in wanted:
        if language is None or file is None:
            return replace(decoding, ngram=file), language
    return decoding, None
