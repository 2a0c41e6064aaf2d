"""Weights and confidences that suit a held-out part of the training data, never the test part."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from speechrnn.decoding.confidence import Calibration, expected_calibration_error, fit_calibration
from speechrnn.decoding.decoder import BeamDecoder
from speechrnn.decoding.fusion import LANGUAGE, NGRAM, DecodingOptions, Weights, reweigh
from speechrnn.decoding.hypothesis import DecodingResult
from speechrnn.decoding.tuned_weights import TunedDecoding
from speechrnn.evaluation.metrics import HIT, Errors, align, character_errors, word_errors

BATCH = 16  # utterances decoded together

logger = logging.getLogger("speechrnn")


class Emission(NamedTuple):
    """What the acoustic model gave for an utterance, (frames, symbols) log-probabilities, and what was said."""

    log_probs: Tensor
    reference: str


@dataclass(frozen=True)
class TuningOptions:
    """The values that are tried, each with each."""

    weights: tuple[float, ...] = field(default=(0.2, 0.4, 0.6, 0.8, 1.0), metadata={"min": 0.0})
    rewards: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5, 2.0)


def tune(decoder: BeamDecoder, emissions: Sequence[Emission], options: TuningOptions) -> TunedDecoding:
    """Tries all weights, takes those with the fewest word errors, and calibrates the confidences with them.

    Among as many word errors, fewer character errors decide, and then smaller weights. What the decoder's own options
    say is not tried otherwise.

    Args:
        decoder: whose scorers are weighed.
        emissions: of the dev part; computed once, decoded for each pair of weights.
    """
    emissions = sorted(emissions, key=lambda emission: len(emission.log_probs))
    results = []
    for weights in _grid(decoder.options, {one.name for one in decoder.scorers}, options):
        found = decode(replace(decoder, scorers=reweigh(decoder.scorers, weights)), emissions)
        words, letters = _errors(found, emissions)
        size = (weights.language_weight, weights.ngram_weight, weights.length_reward)
        results.append(((words.errors, letters.errors, *size), weights, words, letters))
    _, best, words, letters = min(results, key=lambda result: result[0])
    decoder = replace(decoder, scorers=reweigh(decoder.scorers, best))
    calibration, error = calibrate(decoder, emissions)
    figures = {"wer": words.rate, "cer": letters.rate, "calibration_error": error, "utterances": len(emissions)}
    logger.info(
        "TunedDecoding on %d utterances: language %g, n-gram %g, reward %g a word: WER %.2f %%, CER %.2f %%",
        *(len(emissions), best.language_weight, best.ngram_weight, best.length_reward),
        *(100 * words.rate, 100 * letters.rate),
    )
    return TunedDecoding(best, calibration, figures)


def decode(decoder: BeamDecoder, emissions: Sequence[Emission]) -> list[DecodingResult]:
    """What a decoder finds, in order; those of like length should stand together."""
    found: list[DecodingResult] = []
    for start in range(0, len(emissions), BATCH):
        rows = [emission.log_probs for emission in emissions[start : start + BATCH]]
        found += decoder(pad_sequence(rows, batch_first=True), torch.tensor([len(row) for row in rows]))
    return found


def calibrate(decoder: BeamDecoder, emissions: Sequence[Emission]) -> tuple[Calibration, float]:
    """The calibration that fits, and the calibration error that is left on the same utterances."""
    posteriors, alignments = (
        [word.confidence for one in decode(replace(decoder, calibration=view), emissions) for word in one.words]
        for view in (Calibration(1.0, 0.0, 0.0), Calibration(0.0, 1.0, 0.0))
    )
    found = decode(decoder, emissions)
    right = [
        mark
        for one, emission in zip(found, emissions, strict=True)
        for mark in correct_words(emission.reference, one.texts[0])
    ]
    calibration = fit_calibration(posteriors, alignments, right)
    confidences = [calibration(*both) for both in zip(posteriors, alignments, strict=True)]
    return calibration, expected_calibration_error(confidences, right)


def correct_words(reference: str, hypothesis: str) -> list[bool]:
    """For each word of a hypothesis whether it was said."""
    edits = align(reference.split(), hypothesis.split())
    return [edit.op == HIT for edit in edits if edit.hypothesis is not None]


def _errors(found: Sequence[DecodingResult], emissions: Sequence[Emission]) -> tuple[Errors, Errors]:
    references = [emission.reference for emission in emissions]
    texts = [one.texts[0] for one in found]
    return sum(word_errors(references, texts), Errors()), sum(character_errors(references, texts), Errors())


def _grid(fixed: DecodingOptions, names: set[str], options: TuningOptions) -> list[Weights]:
    def values(chosen: float | None, tried: Sequence[float], needed: bool) -> Sequence[float]:
        if chosen is not None:
            return (chosen,)
        return tried if needed else (0.0,)

    return [
        Weights(*each)
        for each in itertools.product(
            values(fixed.language_weight, options.weights, LANGUAGE in names),
            values(fixed.ngram_weight, options.weights, NGRAM in names),
            values(fixed.length_reward, options.rewards, True),
        )
    ]
