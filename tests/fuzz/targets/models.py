"""Model directories, tokenizers, tuned weights and checkpoints."""

from __future__ import annotations

import base64
import functools
import io
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from helpers.model_directories import remove_digests

from fuzz.formats import change_archive
from fuzz.target import Target, whole
from speechrnn.audio.features import FeatureOptions
from speechrnn.core.model_names import DESCRIPTION, WEIGHTS
from speechrnn.decoding.fusion import DecodingOptions
from speechrnn.decoding.model_facts import read_facts
from speechrnn.decoding.tuned_weights import find_tuned, read_tuned
from speechrnn.decoding.uncertainty import Uncertainty
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions, load_acoustic, save_acoustic
from speechrnn.nn.checkpoint import load_model, read_kind, save_model
from speechrnn.nn.language import LanguageModel, LanguageOptions, load_language, save_language
from speechrnn.nn.quantisation import WeightFormat
from speechrnn.text.normalisation import model_normalisation
from speechrnn.text.tokenizers import CharTokenizer, SubwordTokenizer, tokenizer_from_json
from speechrnn.training.checkpoint import read_checkpoint
from speechrnn.training.task import State

FINGERPRINT = {"layers": 1}


@functools.cache
def acoustic() -> AcousticModel:
    """Return a network of a few weights."""
    torch.manual_seed(0)
    return AcousticModel(4, FeatureOptions(bins=8), AcousticOptions(units=4, layers=1, channels=2))


def write_acoustic(folder: Path) -> None:
    """Write its directory, without digests, so that damage goes as deep as it can."""
    save_acoustic(folder, acoustic(), CharTokenizer.build([], "AB "), training={"normalisation": {"case": "upper"}})
    remove_digests(folder)


def write_language(folder: Path) -> None:
    """Write the directory of a small language model."""
    torch.manual_seed(0)
    options = LanguageOptions(layers=1, units=4, embedding=4)
    tokenizer = CharTokenizer.build([], "AB ")
    save_language(
        folder, LanguageModel(len(tokenizer), options), tokenizer, training={"normalisation": {"case": "upper"}}
    )
    remove_digests(folder)


def write_small(write: Callable[[Path], None], weight_format: WeightFormat, folder: Path) -> None:
    """Write a model directory whose weights are stored in a format."""
    write(folder)
    kind = read_kind(folder)
    description, weights = load_model(folder, kind)
    save_model(folder, kind, description, weights=weights, weight_format=weight_format)
    remove_digests(folder)


write_acoustic_int8 = functools.partial(write_small, write_acoustic, "int8")
write_language_float16 = functools.partial(write_small, write_language, "float16")


def seeds(write: Callable[[Path], None], folder: Path) -> Mapping[str, bytes]:
    """Return both files of a model directory."""
    write(folder)
    return {name: (folder / name).read_bytes() for name in (DESCRIPTION, WEIGHTS)}


def read_model(
    write: Callable[[Path], None], load: Callable[[Path], tuple[torch.nn.Module, object]], path: Path
) -> None:
    """Load a directory of which one file is damaged, and use the model."""
    try:
        model, _ = load(path.parent)
        assert all(bool(weight.isfinite().all()) for weight in model.state_dict().values()), "weights not finite"
        with torch.no_grad():
            if isinstance(model, AcousticModel):
                log_probs, _ = model(torch.zeros(1, 8000) + 0.01, torch.tensor([8000]))[:2]
                assert bool(log_probs.isfinite().all()), "log-probabilities not finite"
            elif isinstance(model, LanguageModel):
                scores, _ = model.score(model.start(1), torch.tensor([0]))
                assert not bool(scores.isnan().any()), "log-probabilities not finite"
    finally:
        path.unlink()
        write(path.parent)


def read_normalisation(path: Path) -> None:
    """Read the normalisation of a model's description."""
    from speechrnn.nn.checkpoint import load_model

    model_normalisation(load_model(path.parent, "acoustic")[0])


def read_acoustic(path: Path) -> None:
    """Load an acoustic model, and what else its description holds."""
    try:
        read_normalisation(path)
    finally:
        read_model(write_acoustic, load_acoustic, path)


@functools.cache
def _subwords() -> bytes:
    texts = ["a bad cab had a bag", "he fed a head each day", "a hedge gab bed fade", "deaf bee heed"]
    return base64.b64decode(SubwordTokenizer.train(texts, 20).to_json()["model"])


def read_sentencepiece(path: Path) -> None:
    """Make a tokenizer of a sentencepiece model, and use it."""
    tokenizer = tokenizer_from_json({"kind": "subword", "model": base64.b64encode(path.read_bytes()).decode()})
    ids = tokenizer.encode("a bad head\u2581 ü")
    assert all(0 < index < len(tokenizer) for index in ids), f"indices {ids} of {len(tokenizer)}"
    tokenizer.decode(list(range(1, min(len(tokenizer), 50))))
    tokenizer.count_unknown("a bad ü")


TUNED = (
    b'{"greedy": {"weights": {"language_weight": null}, "calibration": {"posterior": 0.5, "alignment": 0.4, "offset": 0.1},'  # noqa: E501
    b' "figures": {"wer": 0.1}, "system": "greedy"}, "beam": {"weights": {"language_weight": 0.5, "length_reward": 1.0},'  # noqa: E501
    b' "calibration": null, "figures": {}, "system": "beam"}}'
)


def read_decoding(path: Path) -> None:
    """Read tuned weights, and use those of the greedy search."""
    entry = find_tuned(read_tuned(path.parent), DecodingOptions(), None)
    if entry.calibration is not None:
        assert 0 <= entry.calibration(0.9, 0.8) <= 1
    for weight in (entry.weights.language_weight, entry.weights.ngram_weight, entry.weights.length_reward):
        assert weight is None or abs(weight) < float("inf")


FACTS = (
    b'{"training": {"hours": 1.5, "utterances": 900, "speakers": 12, "words": 4000, "vocabulary": 60, "sampling_rates":'
    b' {"16000": 1.5}, "narrow_band": false}, "dev": {"utterances": 60, "uncertainty": 0.32, "deviation": 0.22,'
    b' "uncertainties": [0.1, 0.2, 0.3, 0.3, 0.4, 0.6, 0.9]}}'
)


def read_model_facts(path: Path) -> None:
    """Read facts, and use them."""
    facts = read_facts(path.parent)
    if facts.training is not None:
        assert facts.training.describe() and (facts.training.lowest_rate or 0) < 10**8
    if facts.dev is not None:
        assert isinstance(facts.dev.is_far(Uncertainty(30.0, 20)), bool)
        assert facts.dev.ratio(Uncertainty(30.0, 20)) < float("inf")


def checkpoint_seeds(folder: Path) -> Mapping[str, bytes]:
    """Return a checkpoint of a training."""
    file = io.BytesIO()
    weights = {"a": torch.arange(4.0)}
    saved = {"model": weights, "average": weights, "optimiser": {}, "averaged_since": None, "carried": None}
    torch.save({**saved, "scaler": None, "state": vars(State()), "fingerprint": FINGERPRINT}, file)
    return {"last.pt": file.getvalue()}


def read_training(path: Path) -> None:
    """Read a checkpoint."""
    saved = read_checkpoint(path, FINGERPRINT, torch.device("cpu"))
    assert all(bool(weight.isfinite().all()) for weight in saved["model"].values()), "weights not finite"


def model_target(
    name: str, write: Callable[[Path], None], load: Callable[[Path], tuple[torch.nn.Module, object]]
) -> Target:
    """Make the target of a model directory that `write` makes and `load` reads."""
    return Target(
        name, functools.partial(seeds, write), functools.partial(read_model, write, load), prepare=write, share=0.4
    )


TARGETS = {
    "acoustic": Target(
        "acoustic", functools.partial(seeds, write_acoustic), read_acoustic, prepare=write_acoustic, share=0.4
    ),
    "language": model_target("language", write_language, load_language),
    "acoustic_int8": model_target("acoustic_int8", write_acoustic_int8, load_acoustic),
    "language_float16": model_target("language_float16", write_language_float16, load_language),
    "sentencepiece": Target("sentencepiece", lambda folder: {"m.model": _subwords()}, read_sentencepiece, share=1),
    "decoding": Target("decoding", whole({"decoding.json": TUNED}), read_decoding, share=2),
    "facts": Target("facts", whole({"facts.json": FACTS}), read_model_facts, share=1),
    "checkpoint": Target("checkpoint", checkpoint_seeds, read_training, share=1),
    "checkpoint_parts": Target("checkpoint_parts", checkpoint_seeds, read_training, share=1, change=change_archive),
}
