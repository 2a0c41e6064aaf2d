"""Tuned weights and calibrations of a model's decoding systems, kept in decoding.json beside its weights.

There is an entry for each combination of models that was tuned, under their fingerprints, so that another language
model or n-gram model has an entry of its own. Files of earlier versions have entries under the names of systems
("beam", "ngram"), and 0 for the weight of a model that was absent; both are read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from speechrnn.core.config import build
from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write
from speechrnn.core.jsonio import parse_json
from speechrnn.core.model_names import DESCRIPTION, WEIGHTS
from speechrnn.decoding.beam_search import BeamOptions
from speechrnn.decoding.confidence import Calibration
from speechrnn.decoding.fusion import DecodingOptions, Weights

FILE = "decoding.json"

_BY_NAME = ("beam", "ngram")  # entries of earlier versions


@dataclass(frozen=True)
class TunedDecoding:
    """The tuning of one decoding system.

    Attributes:
        weights: of its models; those that were not tuned are None.
        calibration: of its confidences; None: not calibrated.
        figures: error rates and calibration error on the dev part.
        system: name of the system, for readers of the file; see `system_name`.
        confidences: quantiles (`uncertainty.QUANTILES`) of the calibrated confidences on the dev part.
        search: width and pruning of the search on the dev part, used where options set none; None: not recorded.
        conditions: other options that were set on the dev part; see `conditions`.
    """

    weights: Weights = field(default_factory=Weights)
    calibration: Calibration | None = None
    figures: dict[str, float] = field(default_factory=dict)
    system: str = ""
    confidences: tuple[float, ...] = ()
    search: BeamOptions | None = None
    conditions: dict[str, str] = field(default_factory=dict)


def system_name(options: DecodingOptions, language_model: str | Path | None) -> str:
    """Return the name of a decoding system in results: greedy, beam (with a language model), ngram, or bare_beam.

    >>> system_name(DecodingOptions(name="beam"), "outputs/text_prediction/books/language")
    'beam'
    """
    if options.name == "greedy":
        return "greedy"
    if language_model is not None:
        return "beam"
    return "ngram" if options.ngram is not None else "bare_beam"


def system_key(options: DecodingOptions, language_model: str | Path | None) -> str:
    """Return the key of a decoding system in decoding.json: its kind and the fingerprints of its models.

    A model that cannot be read has an empty fingerprint; loading it will say why.

    >>> system_key(DecodingOptions(), None)
    'greedy'
    """
    if options.name == "greedy":
        return "greedy"
    models = {"language": language_model, "ngram": options.ngram, "rescoring": options.rescoring_model}
    parts = [f"{kind}:{_fingerprint(Path(path))}" for kind, path in models.items() if path is not None]
    return " ".join(parts) or "bare_beam"


def find_tuned(
    tuned: Mapping[str, TunedDecoding], options: DecodingOptions, language_model: str | Path | None
) -> TunedDecoding:
    """Return the tuning of a decoding system.

    If its combination of models was not tuned, that of the language model alone is returned, or else an entry of an
    earlier version; weights that these lack are None.

    Args:
        tuned: as `read_tuned` returns it.
        options: of decoding.
        language_model: a language model directory, or None.
    """
    if not tuned:
        return TunedDecoding()
    candidates = [system_key(options, language_model)]
    if options.rescoring_model is not None:
        candidates.append(system_key(replace(options, rescoring_model=None), language_model))
    if language_model is not None:
        candidates.append(system_key(replace(options, rescoring_model=None, ngram=None), language_model))
    candidates.append(system_name(options, language_model))
    return next((tuned[key] for key in candidates if key in tuned), TunedDecoding())


def conditions(options: DecodingOptions) -> dict[str, str]:
    """Return the options that confidences depend on, but for models, weights and the search: values by key.

    Those at which nothing is added to the search are left out.

    >>> conditions(DecodingOptions(name="beam", hot_words=("ADA", "BELL")))
    {'hot_words': 'ADA, BELL: 6'}
    """
    found = {}
    if options.hot_words:
        found["hot_words"] = f"{', '.join(sorted(options.hot_words))}: {options.hot_word_boost:g}"
    if options.lexicon is not None:
        penalty = f" {options.lexicon_penalty:g}" if options.lexicon_mode == "prefer" else ""
        found["lexicon"] = f"{_fingerprint(options.lexicon)} {options.lexicon_mode}{penalty}"
    if options.unknown_penalty is not None:
        found["unknown_penalty"] = f"{options.unknown_penalty:g}"
    if options.rescoring_model is not None:
        found["rescoring_weight"] = f"{options.rescoring_weight:g}"
    return found


def find_uncalibrated(
    tuned: Mapping[str, TunedDecoding], options: DecodingOptions, language_model: str | Path | None
) -> list[str]:
    """Return the keys of decoding at which the confidences that `find_tuned` gives were not calibrated.

    >>> beam = DecodingOptions(name="beam", beam_size=50)
    >>> tuned = {"bare_beam": TunedDecoding(calibration=Calibration(), search=BeamOptions())}
    >>> find_uncalibrated(tuned, beam, None)
    ['beam_size']

    Returns:
        names of keys; [] where they are those of the dev part, and where nothing was calibrated.
    """
    entry = find_tuned(tuned, options, language_model)
    if options.name == "greedy" or entry.calibration is None:
        return []
    keys = []
    if system_key(options, language_model) not in tuned and entry.system:
        without = system_key(replace(options, rescoring_model=None), language_model)
        keys.append("rescoring_model" if without in tuned else "ngram")
    if entry.search is not None:
        keys += [key for key, value in options.chosen_search.items() if value != getattr(entry.search, key)]
    weights = {"length_reward": True, "language_weight": language_model is not None, "ngram_weight": options.ngram}
    for key, used in weights.items():
        chosen = getattr(options, key)
        if used and chosen is not None and chosen != getattr(entry.weights, key):
            keys.append(key)
    now = conditions(options)
    return keys + [key for key in sorted(now.keys() | entry.conditions) if now.get(key) != entry.conditions.get(key)]


def read_tuned(folder: str | Path) -> dict[str, TunedDecoding]:
    """Read the decoding.json of an acoustic model's directory: entries by key; {} where there is none.

    Raises:
        UserError: the file is damaged.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return {}
    try:
        systems = parse_json(path.read_bytes())
        if not isinstance(systems, dict):
            raise ValueError("it holds no group of decoding systems")
        return {name: _entry(name, values) for name, values in systems.items()}
    except (OSError, ValueError, UserError) as error:
        raise UserError(
            f"{path} is damaged ({str(error).rstrip('.')}); remove it, or run `speechrnn tune` again."
        ) from error


def write_tuned(folder: str | Path, tuned: Mapping[str, TunedDecoding]) -> None:
    """Write all entries into the decoding.json of a model directory, in place of those that were there.

    Raises:
        UserError: the file cannot be written.
    """
    systems: dict[str, Any] = {name: asdict(entry) for name, entry in tuned.items()}
    with atomic_write(Path(folder) / FILE) as file:
        json.dump(systems, file, indent=2, allow_nan=False)
        file.write("\n")


def _entry(name: str, values: Mapping[str, Any]) -> TunedDecoding:
    entry = build(TunedDecoding, values, name)
    if name not in _BY_NAME:
        return entry
    weights = entry.weights
    return replace(
        entry,
        weights=replace(
            weights, language_weight=weights.language_weight or None, ngram_weight=weights.ngram_weight or None
        ),
    )


def _fingerprint(path: Path) -> str:
    """Return the digest of a model directory's or a file's bytes; "" where it cannot be read."""
    digest = hashlib.sha256()
    try:
        for file in (path / DESCRIPTION, path / WEIGHTS) if path.is_dir() else (path,):
            with file.open("rb") as content:
                while block := content.read(2**20):
                    digest.update(block)
    except OSError:
        return ""
    return digest.hexdigest()[:16]
