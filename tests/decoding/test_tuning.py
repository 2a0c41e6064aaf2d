from __future__ import annotations

import itertools
import logging
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from helpers.emissions import TOKENIZER, emission

from speechrnn.decoding import tuning
from speechrnn.decoding.confidence import Calibration, expected_calibration_error
from speechrnn.decoding.decoder import BeamDecoder, GreedyDecoder, make_decoder
from speechrnn.decoding.fusion import DecodingOptions, Weights, reweigh
from speechrnn.decoding.ngram.arpa import write_arpa
from speechrnn.decoding.ngram.kneser_ney import kneser_ney
from speechrnn.decoding.tuning import Emission, TuningOptions, correct_words, decode, split_halves, tune


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> BeamDecoder:
    path = tmp_path_factory.mktemp("ngram") / "letters.arpa"
    texts = ["THE CAT", "THE CAT", "A CAT", "THE BAT", "A BED"]
    write_arpa(path, kneser_ney(map(TOKENIZER.encode, texts), TOKENIZER.symbols, 4))
    found = make_decoder(DecodingOptions(name="beam", ngram=path), None, TOKENIZER, seconds_per_frame=0.03, tuned={})
    assert isinstance(found, BeamDecoder)
    return found


# Twice the network errs and the model knows better; once the network is sure of what the model does not expect.
EMISSIONS = [
    Emission(emission("THE CAT", {5: ("E", 0.6)}), "THE CAT"),
    Emission(emission("A BED", {3: ("A", 0.6)}), "A BED"),
    Emission(emission("THE TEA"), "THE TEA"),
]


def test_the_weights_with_the_fewest_errors_are_found(decoder: BeamDecoder) -> None:
    tried = TuningOptions(weights=(0.0, 0.6, 30.0), rewards=(0.0,))
    tuned = tune(decoder, EMISSIONS, tried)
    assert tuned.weights.ngram_weight == 0.6  # 0 leaves errors in, 30 makes new ones
    assert tuned.weights.language_weight is None  # there is none, so that its weight is not tuned
    assert tuned.figures["wer"] == 0 and tuned.figures["utterances"] == 3
    texts = [decoded.texts[0] for decoded in decode(decoder, EMISSIONS)]
    assert texts == [decoded.texts[0] for emission in EMISSIONS for decoded in decode(decoder, [emission])]


def test_what_the_options_say_stays(decoder: BeamDecoder) -> None:
    fixed = replace(decoder, options=replace(decoder.options, ngram_weight=0.0, length_reward=0.5))
    tuned = tune(fixed, EMISSIONS, TuningOptions(weights=(0.6,), rewards=(1.0,)))
    assert (tuned.weights.ngram_weight, tuned.weights.length_reward) == (0.0, 0.5)
    assert tuned.figures["wer"] == pytest.approx(2 / 6)


def test_right_words() -> None:
    assert correct_words("THE CAT SAT", "THE BAT THAT SAT") == [True, False, False, True]
    assert correct_words("THE CAT", "") == []


def overconfident(count: int) -> list[Emission]:
    """Utterances of a weak network: sure to 0.9 of each letter, wrong in half of the words."""
    texts = ["THE CAT", "A BED", "THE BAT", "A CAT"]
    return [
        Emission(emission(text, {0: ("C", 0.93)} if number % 2 else None, sure=0.95), text)
        for number, text in zip(range(count), itertools.cycle(texts), strict=False)
    ]


def test_the_log_names_the_figures(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "speechrnn")
    tune(GreedyDecoder(TOKENIZER, 0.03), overconfident(1), TuningOptions())
    assert "Tuned on 1 utterance: WER " in caplog.text


def test_greedy_confidences_are_calibrated() -> None:
    emissions = overconfident(40)
    decoder = GreedyDecoder(TOKENIZER, 0.03)
    tuned = tune(decoder, emissions, TuningOptions())
    assert tuned.weights == Weights()
    assert tuned.calibration is not None and tuned.figures["calibration_error"] < 0.1

    def error(calibration: Calibration | None) -> float:
        results = decode(replace(decoder, calibration=calibration), emissions)
        pairs = [
            (word.confidence, right)
            for result, item in zip(results, emissions, strict=True)
            for word, right in zip(result.words, correct_words(item.reference, result.texts[0]), strict=True)
        ]
        confidences, correct = zip(*pairs, strict=True)
        return expected_calibration_error(confidences, correct)

    assert error(None) > 0.15 > 0.1 > error(tuned.calibration)


def test_confidences_are_calibrated_on_words_that_did_not_tune_the_weights(
    decoder: BeamDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each half of the dev part prefers a weight of its own; its words must come from the other half's.
    emissions = sorted(EMISSIONS * 4, key=lambda item: len(item.log_probs))
    asked: list[float] = []
    halves = tuning._halves

    def recording(results: tuple, items: list, parts: tuple) -> tuple:
        asked.extend(decoded[0].hypotheses[0].score for decoded in results)
        return halves(results, items, parts)

    best = tuning._best
    first, second = split_halves(emissions)

    def choose(grid: list[Weights], counts: list, part: Sequence[int]) -> Weights:
        if part not in (first, second):
            return best(grid, counts, part)
        preferred = 0.6 if part == first else 0.0
        return next(weights for weights in grid if weights.ngram_weight == preferred)

    monkeypatch.setattr(tuning, "_halves", recording)
    monkeypatch.setattr(tuning, "_best", choose)
    tune(decoder, emissions, TuningOptions(weights=(0.0, 0.6), rewards=(0.0,)))
    expected = [
        decode(replace(decoder, scorers=reweigh(decoder.scorers, Weights(None, weight, 0.0))), emissions)[0]
        for weight in (0.0, 0.6)  # the first half is decoded with what the second half prefers
    ]
    assert asked == [result.hypotheses[0].score for result in expected]


def test_no_speaker_is_in_both_halves() -> None:
    speakers = ["ANN", "BEN", "CID", "ANN", "ANN", "BEN", "DOT", "CID", "DOT", "ANN"]
    emissions = [
        Emission(item.log_probs, item.reference, speaker)
        for item, speaker in zip(overconfident(10), speakers, strict=True)
    ]
    first, second = split_halves(emissions)
    assert sorted([*first, *second]) == list(range(10))
    assert not {speakers[index] for index in first} & {speakers[index] for index in second}
    assert abs(len(first) - len(second)) <= 2


@pytest.mark.parametrize("speaker", [None, "ANN"])
def test_without_several_speakers_the_halves_are_of_utterances(speaker: str | None) -> None:
    emissions = [Emission(item.log_probs, item.reference, speaker) for item in overconfident(9)]
    first, second = split_halves(emissions)
    assert sorted([*first, *second]) == list(range(9)) and abs(len(first) - len(second)) <= 1
    assert split_halves([]) == ([], [])


def test_the_calibration_error_is_of_speakers_that_the_calibration_has_not_seen() -> None:
    # One speaker is always misheard, the other never, at the same probabilities: each is unlike the other.
    emissions = [
        Emission(emission(text, {0: ("C", 0.93)} if wrong else None, sure=0.95), text, "BEN" if wrong else "ANN")
        for text, wrong in itertools.product(["THE CAT", "A BED", "THE BAT", "A CAT"] * 5, [False, True])
    ]
    random.Random(0).shuffle(emissions)
    known = tune(GreedyDecoder(TOKENIZER, 0.03), emissions, TuningOptions()).figures["calibration_error"]
    unknown = [replace_speaker(item) for item in emissions]
    mixed = tune(GreedyDecoder(TOKENIZER, 0.03), unknown, TuningOptions()).figures["calibration_error"]
    assert known > 0.2 > mixed


def replace_speaker(item: Emission) -> Emission:
    return Emission(item.log_probs, item.reference)
