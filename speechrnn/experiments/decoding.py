"""Decode a prepared part of a corpus with every system of a run, and count the errors."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lhotse import CutSet

from speechrnn.core.plural import count
from speechrnn.core.progress import speed_in_words
from speechrnn.data.dataset import batch_by_length, examples, load_all
from speechrnn.decoding.confidence import expected_calibration_error
from speechrnn.decoding.decoder import Decoder, make_decoder
from speechrnn.decoding.fusion import DecodingOptions
from speechrnn.decoding.tuned_weights import TunedDecoding
from speechrnn.decoding.tuning import Emission, correct_words
from speechrnn.evaluation.metrics import score
from speechrnn.experiments.run import Run
from speechrnn.transcription.hypotheses import row
from speechrnn.transcription.transcriber import Transcriber

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
                transcript = transcriber.transcript("", len(samples) / transcriber.sampling_rate, result, decoding=name)
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
        f"{count(figures['utterances'], 'utterance')} of the part {split}, {speed_in_words(seconds, elapsed)}"
    )
