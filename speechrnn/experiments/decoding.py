"""Decode prepared parts of a corpus with every system of a run, count the errors, and tune the systems."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lhotse import CutSet

from speechrnn.core.errors import UserError
from speechrnn.core.model_names import find_model_directory
from speechrnn.core.plural import count
from speechrnn.data.dataset import batch_by_length, examples, load_all
from speechrnn.data.training_facts import TrainingFacts
from speechrnn.decoding.confidence import expected_calibration_error
from speechrnn.decoding.decoder import Decoder, make_decoder
from speechrnn.decoding.fusion import DecodingOptions, with_model_directories
from speechrnn.decoding.model_facts import read_facts, update_facts
from speechrnn.decoding.tuned_weights import TunedDecoding, read_tuned, system_key, system_name, write_tuned
from speechrnn.decoding.tuning import Emission, TuningOptions, correct_words, describe_dev
from speechrnn.decoding.tuning import tune as search_weights
from speechrnn.evaluation.metrics import score
from speechrnn.experiments.run import Run
from speechrnn.transcription.hypotheses import row
from speechrnn.transcription.transcriber import Transcriber

DEV, TRAIN = "cuts_dev.jsonl.gz", "cuts_train.jsonl.gz"  # in the prepared/ folder of a run

logger = logging.getLogger("speechrnn")


def decode_cuts(
    transcriber: Transcriber, systems: Mapping[str, Decoder], cuts: Path, batch_seconds: float
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, float]]:
    """Decode each utterance of a prepared part with each system, on emissions that are computed once.

    Args:
        systems: decoders by name.
        cuts: the part, a manifest of cuts.
        batch_seconds: most audio in one batch.

    Returns:
        By system: a row of hypotheses.jsonl for each utterance, with the audio file's path; and the seconds of work.
    """
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in systems}
    network, elapsed = 0.0, dict.fromkeys(systems, 0.0)
    for batch in batch_by_length(examples(CutSet.from_file(cuts)), batch_seconds):
        start = time.monotonic()
        loaded, waveforms = load_all(batch, lambda example: example.load(transcriber.sampling_rate))
        log_probs, frames = transcriber.compute_emissions(waveforms)
        network += time.monotonic() - start
        for name, decoder in systems.items():
            start = time.monotonic()
            results = decoder(log_probs, frames)
            elapsed[name] += time.monotonic() - start
            for example, samples, result in zip(loaded, waveforms, results, strict=True):
                transcript = transcriber.transcript("", len(samples) / transcriber.sampling_rate, result, name)
                rows[name].append({**row(example.id, transcript, example.text), "audio": str(example.audio)})
    return rows, {name: network + seconds for name, seconds in elapsed.items()}


def decoder_of(
    transcriber: Transcriber,
    options: DecodingOptions,
    language_model: Path | None,
    tuned: Mapping[str, TunedDecoding],
) -> Decoder:
    """Make another decoder of a transcriber's emissions; see `make_decoder`."""
    return make_decoder(
        options,
        language_model,
        transcriber.tokenizer,
        seconds_per_frame=transcriber.model.seconds_per_frame,
        tuned=tuned,
        device=transcriber.device,
    )


def compute_part_emissions(transcriber: Transcriber, cuts: Path, batch_seconds: float) -> list[Emission]:
    """Return log-probabilities (frames, labels), reference and speaker of each utterance of a prepared part."""
    emissions = []
    for batch in batch_by_length(examples(CutSet.from_file(cuts)), batch_seconds):
        loaded, waveforms = load_all(batch, lambda example: example.load(transcriber.sampling_rate))
        log_probs, frames = transcriber.compute_emissions(waveforms)
        rows = zip(loaded, log_probs, frames.tolist(), strict=True)
        emissions += [Emission(row[:count], example.text, example.speaker) for example, row, count in rows]
    return emissions


def record_errors(run: Run, name: str, rows: list[dict[str, Any]], split: str, elapsed: float) -> None:
    """Write the error rates of one system into metrics.json, and log them with the part that they were measured on."""
    seconds = sum(row["duration"] for row in rows)
    confidences = [word["confidence"] for row in rows for word in row["words"]]
    correct = [right for row in rows for right in correct_words(row["reference"], row["hypothesis"])]
    figures = {
        **score(rows),
        "calibration_error": expected_calibration_error(confidences, correct),
        "split": split,
        "audio_seconds": seconds,
        "rtf": elapsed / seconds,
    }
    run.update_metrics("decode", {name: figures})
    low, high = figures["wer_ci95"]
    logger.info(
        f"{split}, {name}: WER {figures['wer']:.2%} (95 % interval {low:.2%} to {high:.2%}), CER {figures['cer']:.2%}, "
        f"{count(figures['utterances'], 'utterance')} of the part {split}, {seconds / elapsed:.0f} times real time"
    )


def tune_run(
    run: Path,
    decoding: DecodingOptions,
    language_model: Path | None,
    tuning: TuningOptions,
    device: str,
    batch_seconds: float,
) -> TunedDecoding:
    """Tune one system on the dev part of a run's folder, whatever the run's configuration.

    The result, the calibration of greedy confidences, and facts.json are written beside the acoustic model's weights.

    Raises:
        UserError: no dev part there; see `make_decoder`.
    """
    path, model = run / "prepared" / DEV, run / "acoustic"
    if not run.is_dir():
        what = "is a file, not a folder" if run.exists() else "does not exist"
        raise UserError(f"run={run} {what}; give the folder of a run of speech_to_text.")
    if not (model / "model.json").is_file():
        remedy = "give its command again to train it" if (run / "config.yaml").is_file() else "give a run's folder"
        raise UserError(f"run={run} holds no trained acoustic model; {remedy}.")
    if not path.is_file():
        raise UserError(
            f"run={run} holds no prepared/{DEV}; give the folder of a run of speech_to_text with a dev part."
        )
    if language_model is not None:
        language_model = find_model_directory(language_model, "language")
    decoding = with_model_directories(decoding)
    transcriber = Transcriber.load(model, device, precision="float32")
    found = read_tuned(model)
    wanted = [(decoding, language_model)]
    if decoding.name != "greedy":
        wanted.insert(0, (DecodingOptions(), None))
    decoders = [decoder_of(transcriber, options, folder, found) for options, folder in wanted]
    emissions = compute_part_emissions(transcriber, path, batch_seconds)
    train, training = run / "prepared" / TRAIN, read_facts(model).training
    if training is None and train.is_file():
        training = TrainingFacts.of(CutSet.from_file(train))
    update_facts(model, training, describe_dev(emissions))
    for (options, folder), decoder in zip(wanted, decoders, strict=True):
        tuned = search_weights(decoder, emissions, tuning)
        found[system_key(options, folder)] = replace(tuned, system=system_name(options, folder))
    write_tuned(model, found)
    return found[system_key(decoding, language_model)]
