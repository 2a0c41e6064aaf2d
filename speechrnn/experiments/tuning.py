"""Tune the systems of a run on its dev part, and write the result beside the acoustic model's weights."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lhotse import CutSet
from safetensors import SafetensorError
from safetensors.torch import load_file

from speechrnn.core.errors import UserError
from speechrnn.core.model_names import WEIGHTS, find_model_directory
from speechrnn.data.training_facts import TrainingFacts
from speechrnn.decoding.fusion import DecodingOptions, with_model_directories
from speechrnn.decoding.model_facts import forget_dev, read_facts, update_facts
from speechrnn.decoding.tuned_weights import (
    FILE,
    TunedDecoding,
    conditions,
    read_tuned,
    system_key,
    system_name,
    write_tuned,
)
from speechrnn.decoding.tuning import TuningOptions, describe_dev, tune
from speechrnn.experiments.decoding import compute_part_emissions, decoder_of
from speechrnn.nn.acoustic import AcousticModel, save_acoustic
from speechrnn.text.tokenizers import Tokenizer
from speechrnn.transcription.transcriber import Transcriber

DEV, TRAIN = "cuts_dev.jsonl.gz", "cuts_train.jsonl.gz"  # in the prepared/ folder of a run

logger = logging.getLogger("speechrnn")


def tune_systems(
    transcriber: Transcriber,
    systems: Sequence[tuple[DecodingOptions, Path | None]],
    model: Path,
    dev: Path,
    *,
    tuning: TuningOptions,
    batch_seconds: float,
    training: TrainingFacts | None = None,
) -> dict[str, TunedDecoding]:
    """Tune each system on emissions of the dev part that are computed once.

    The weights and the calibration of confidences are added to decoding.json; facts.json gets the facts about its
    training data, and its uncertainty on the dev part. Entries of other systems stay.

    Args:
        transcriber: of the acoustic model.
        systems: options of a search, and directory of a language model or None.
        model: the acoustic model's directory, where both files are written.
        dev: the part, a manifest of cuts.
        tuning: how the weights are searched.
        batch_seconds: most audio in one batch.
        training: facts about the training data; None leaves those in facts.json.

    Returns:
        The result of each system by its name, in the order of `systems`.

    Raises:
        UserError: see `make_decoder`.
    """
    found = read_tuned(model)
    decoders = [
        decoder_of(transcriber, options.with_search(None), language_model, tuned=found)
        for options, language_model in systems
    ]
    emissions = compute_part_emissions(transcriber, dev, batch_seconds)
    update_facts(model, training, describe_dev(emissions))
    results = {}
    for (options, language_model), decoder in zip(systems, decoders, strict=True):
        name = system_name(options, language_model)
        logger.info("Tuning the decoding called %s", name)
        results[name] = replace(tune(decoder, emissions, tuning), system=name, conditions=conditions(options))
        found[system_key(options, language_model)] = results[name]
    write_tuned(model, found)
    return results


def save_trained(folder: Path, model: AcousticModel, tokenizer: Tokenizer, summary: dict[str, Any]) -> None:
    """Write a model that is being trained; what was tuned for other weights that were there before is removed.

    It is removed before the weights are written: a training that is killed in between would otherwise find the same
    weights when it goes on, and keep it.

    Args:
        folder: the model directory.
        model, tokenizer, summary: see `save_acoustic`.
    """
    tuned = folder / FILE
    if not _holds(folder / WEIGHTS, model):
        forget_dev(folder)
        if tuned.is_file():
            tuned.unlink()
            logger.info("The weights of %s have changed: %s, which was tuned for others, is removed.", folder, FILE)
    save_acoustic(folder, model, tokenizer, training=summary)


def _holds(weights: Path, model: AcousticModel) -> bool:
    """Return whether a file holds the weights of a model."""
    try:
        stored = load_file(weights)
    except (OSError, SafetensorError):
        return False
    state = model.state_dict()
    return stored.keys() == state.keys() and all(
        stored[key].dtype == tensor.dtype and torch.equal(stored[key], tensor.cpu()) for key, tensor in state.items()
    )


def tune_run(
    run: Path,
    decoding: DecodingOptions,
    language_model: Path | None,
    *,
    tuning: TuningOptions,
    device: str,
    batch_seconds: float,
) -> TunedDecoding:
    """Tune one system on the dev part of a run's folder, whatever the run's configuration; see `tune_systems`.

    The confidences of greedy decoding are calibrated too.

    Raises:
        UserError: no model or no dev part there; see `make_decoder`.
    """
    dev, train, model = run / "prepared" / DEV, run / "prepared" / TRAIN, run / "acoustic"
    if not run.is_dir():
        what = "is a file, not a folder" if run.exists() else "does not exist"
        raise UserError(f"run={run} {what}; give the folder of a run of speech_to_text.")
    if not (model / "model.json").is_file():
        remedy = "give its command again to train it" if (run / "config.yaml").is_file() else "give a run's folder"
        raise UserError(f"run={run} holds no trained acoustic model; {remedy}.")
    if not dev.is_file():
        raise UserError(
            f"run={run} holds no prepared/{DEV}; give the folder of a run of speech_to_text with a dev part."
        )
    if language_model is not None:
        language_model = find_model_directory(language_model, "language")
    decoding = with_model_directories(decoding)
    systems = [(decoding, language_model)]
    if decoding.name != "greedy":
        systems.insert(0, (DecodingOptions(), None))
    training = read_facts(model).training
    if training is None and train.is_file():
        training = TrainingFacts.of(CutSet.from_file(train))
    results = tune_systems(
        Transcriber.load(model, device, precision="float32"),
        systems,
        model,
        dev=dev,
        tuning=tuning,
        batch_seconds=batch_seconds,
        training=training,
    )
    return results[system_name(decoding, language_model)]
