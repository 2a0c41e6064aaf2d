"""Tuning on a held-out part of the training data, never the test part: weights of the models, calibrated confidences.

Calibration is cross-fitted: the dev part is split in two, by speaker where speakers are known, and the confidences of
each half come from weights that were tuned on the other half. So the weights were not chosen on the words whose
confidences are calibrated, and the calibration error is measured on voices that the calibration was not fitted on.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from speechrnn.core.plural import count
from speechrnn.decoding.confidence import Calibration, expected_calibration_error, fit_calibration
from speechrnn.decoding.decoder import BeamDecoder, Decoder
from speechrnn.decoding.fusion import LANGUAGE, LENGTH, NGRAM, DecodingOptions, Weights, reweigh
from speechrnn.decoding.hypothesis import ConfidenceFeatures, DecodingResult
from speechrnn.decoding.tuned_weights import TunedDecoding
from speechrnn.decoding.uncertainty import DevStatistics, measure_uncertainty, quantiles
from speechrnn.evaluation.metrics import HIT, Errors, align, character_errors, word_errors

BATCH_SIZE = 16  # utterances decoded together
GREEDY_START = Calibration(0.0, 1.0, 0.0)  # the acoustic probability as it is

logger = logging.getLogger("speechrnn")


class Emission(NamedTuple):
    """An utterance: (frames, symbols) log-probabilities of the acoustic model, reference text, speaker if known."""

    log_probs: Tensor
    reference: str
    speaker: str | None = None


@dataclass(frozen=True)
class TuningOptions:
    """The grid of weights; each is tried with each.

    Attributes:
        weights: of the language model and of the n-gram model.
        rewards: added for each word, natural logarithm.
    """

    weights: tuple[float, ...] = field(default=(0.2, 0.4, 0.6, 0.8, 1.0), metadata={"min": 0.0})
    rewards: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5, 2.0)


class CalibrationData(NamedTuple):
    """The words of one half of the utterances: features, and whether each is correct."""

    features: list[ConfidenceFeatures]
    correct: list[bool]


def tune(decoder: Decoder, emissions: Sequence[Emission], options: TuningOptions) -> TunedDecoding:
    """Find the weights with the fewest word errors, and calibrate the confidences.

    Among weights with equally many word errors, fewer character errors decide, then smaller weights. Weights that the
    decoder's own options set stay. A greedy decoder has no weights; its confidences are calibrated.

    Args:
        decoder: greedy, or a beam search with its scorers.
        emissions: of the dev part; computed once, decoded with each combination of weights.
        options: the grid.

    Returns:
        the weights, the calibration, the distribution of confidences, and figures on the dev part: "wer", "cer",
        "utterances", and "calibration_error", where each half was calibrated on the other.
    """
    emissions = sorted(emissions, key=lambda emission: len(emission.log_probs))
    parts = split_halves(emissions)
    if not isinstance(decoder, BeamDecoder):
        tuned, results = Weights(), decode(decoder, emissions)
        halves = _halves((results, results), emissions, parts)
        start = GREEDY_START
    else:
        start = Calibration()
        grid = _grid(decoder.options, {scorer.name for scorer in decoder.scorers}, options)
        counts = [_error_counts(decode(_weighted(decoder, weights), emissions), emissions) for weights in grid]
        tuned = _best(grid, counts, range(len(emissions)))
        results = decode(_weighted(decoder, tuned), emissions)
        cross = (_best(grid, counts, parts[1]), _best(grid, counts, parts[0]))
        first, second = (
            results if weights == tuned else decode(_weighted(decoder, weights), emissions) for weights in cross
        )
        halves = _halves((first, second), emissions, parts)
    calibration, error = calibrate(halves, start)
    words, characters = (sum(counts, Errors()) for counts in _error_counts(results, emissions))
    figures = {"wer": words.rate, "cer": characters.rate, "calibration_error": error, "utterances": len(emissions)}
    logger.info(
        "Tuned on %s: %sWER %.2f %%, CER %.2f %%, calibration error %.3f",
        count(len(emissions), "utterance"),
        "".join(f"{name} {weight:g}, " for name, weight in _named(tuned).items()),
        100 * words.rate,
        100 * characters.rate,
        error,
    )
    confidences = quantiles(calibration(*features) for result in results for features in result.features)
    search = replace(decoder.options.search, nbest=1) if isinstance(decoder, BeamDecoder) else None
    return TunedDecoding(tuned, calibration, figures, confidences=confidences, search=search)


def split_halves(emissions: Sequence[Emission]) -> tuple[list[int], list[int]]:
    """Split utterances into two halves, without a speaker in both where there are several speakers.

    >>> rows = [Emission(torch.zeros(1, 2), "A", speaker) for speaker in ("ANN", "BEN", "ANN", "CID")]
    >>> split_halves(rows)
    ([0, 2], [1, 3])

    Args:
        emissions: the utterances; one whose speaker is not known counts as a speaker of its own.

    Returns:
        the indices of each half. The halves have about equally many words.
    """
    speakers: dict[str | int, list[int]] = {}
    for index, emission in enumerate(emissions):
        speakers.setdefault(index if emission.speaker is None else emission.speaker, []).append(index)
    if len(speakers) == 1:
        indices = list(range(len(emissions)))
        return indices[::2], indices[1::2]
    sizes = {
        speaker: sum(len(emissions[index].reference.split()) for index in own) for speaker, own in speakers.items()
    }
    halves: tuple[list[int], list[int]] = ([], [])
    words = [0, 0]
    for speaker in sorted(speakers, key=lambda name: -sizes[name]):  # the largest first; stable, so always the same
        smaller = int(words[1] < words[0])
        halves[smaller].extend(speakers[speaker])
        words[smaller] += sizes[speaker]
    return sorted(halves[0]), sorted(halves[1])


def describe_dev(emissions: Sequence[Emission]) -> DevStatistics:
    """Measure the uncertainty of the acoustic model on the dev part's utterances."""
    return DevStatistics.of(
        [
            uncertainty
            for emission in emissions
            for uncertainty in measure_uncertainty(emission.log_probs[None], torch.tensor([len(emission.log_probs)]))
        ]
    )


def decode(decoder: Decoder, emissions: Sequence[Emission]) -> list[DecodingResult]:
    """Decode utterances in order, in batches; sort them by length beforehand."""
    results: list[DecodingResult] = []
    for start in range(0, len(emissions), BATCH_SIZE):
        rows = [emission.log_probs for emission in emissions[start : start + BATCH_SIZE]]
        results += decoder(pad_sequence(rows, batch_first=True), torch.tensor([len(row) for row in rows]))
    return results


def calibrate(
    halves: tuple[CalibrationData, CalibrationData], start: Calibration | None = None
) -> tuple[Calibration, float]:
    """Fit a calibration on both halves.

    Args:
        halves: words of either half of the utterances.
        start: see `fit_calibration`.

    Returns:
        the calibration, and the calibration error of each half under a calibration that was fitted on the other.
    """
    first, second = halves
    confidences: list[float] = []
    for own, other in ((first, second), (second, first)):
        held_out = fit_calibration(other.features, other.correct, start)
        confidences += [held_out(*features) for features in own.features]
    correct = [*first.correct, *second.correct]
    calibration = fit_calibration([*first.features, *second.features], correct, start)
    return calibration, expected_calibration_error(confidences, correct)


def correct_words(reference: str, hypothesis: str) -> list[bool]:
    """Return for each word of a hypothesis whether it is aligned with the same word of the reference.

    >>> correct_words("GO HOME NOW", "GO HOMES NOW")
    [True, False, True]
    """
    edits = align(reference.split(), hypothesis.split())
    return [edit.op == HIT for edit in edits if edit.hypothesis is not None]


def _weighted(decoder: BeamDecoder, weights: Weights) -> BeamDecoder:
    return replace(decoder, scorers=reweigh(decoder.scorers, weights))


def _error_counts(
    results: Sequence[DecodingResult], emissions: Sequence[Emission]
) -> tuple[list[Errors], list[Errors]]:
    """Return word errors and character errors of each utterance."""
    references = [emission.reference for emission in emissions]
    texts = [result.texts[0] for result in results]
    return word_errors(references, texts), character_errors(references, texts)


def _best(grid: Sequence[Weights], counts: Sequence[tuple[list[Errors], list[Errors]]], part: Sequence[int]) -> Weights:
    """Return the weights with the fewest errors on a part of the utterances."""

    def rank(number: int) -> tuple[float, ...]:
        errors = (sum(column[index].errors for index in part) for column in counts[number])
        return (*errors, *_named(grid[number]).values())

    return grid[min(range(len(grid)), key=rank)]


def _halves(
    results: tuple[Sequence[DecodingResult], Sequence[DecodingResult]],
    emissions: Sequence[Emission],
    parts: tuple[Sequence[int], Sequence[int]],
) -> tuple[CalibrationData, CalibrationData]:
    """Return the words of both halves, those of each from its own decoding of all utterances."""
    halves = []
    for decoded, part in zip(results, parts, strict=True):
        pairs = [(decoded[index], emissions[index].reference) for index in part]
        halves.append(
            CalibrationData(
                [features for result, _ in pairs for features in result.features],
                [right for result, reference in pairs for right in correct_words(reference, result.texts[0])],
            )
        )
    return halves[0], halves[1]


def _named(weights: Weights) -> dict[str, float]:
    names = {"language": weights.language_weight, "n-gram": weights.ngram_weight, "word bonus": weights.length_reward}
    return {name: weight for name, weight in names.items() if weight is not None}


def _grid(fixed: DecodingOptions, names: set[str], options: TuningOptions) -> list[Weights]:
    """Return all combinations; a weight is None where there is no such scorer."""

    def values(chosen: float | None, tried: Sequence[float], scorer: bool) -> Sequence[float] | tuple[None]:
        if not scorer:
            return (None,)
        return tried if chosen is None else (chosen,)

    return [
        Weights(*combination)
        for combination in itertools.product(
            values(fixed.language_weight, options.weights, LANGUAGE in names),
            values(fixed.ngram_weight, options.weights, NGRAM in names),
            values(fixed.length_reward, options.rewards, LENGTH in names),
        )
    ]
