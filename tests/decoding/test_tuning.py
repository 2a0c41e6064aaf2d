from __future__ import annotations

import itertools
import logging
from dataclasses import replace

import pytest
from helpers.emissions import TOKENIZER, emission

from speechrnn.decoding import tuning
from speechrnn.decoding.confidence import Calibration, expected_calibration_error
from speechrnn.decoding.decoder import BeamDecoder, GreedyDecoder, make_decoder
from speechrnn.decoding.fusion import DecodingOptions, Weights, reweigh
from speechrnn.decoding.ngram.arpa import write_arpa
from speechrnn.decoding.ngram.kneser_ney import kneser_ney
from speechrnn.decoding.tuning import Emission, TuningOptions, correct_words, decode, tune


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> BeamDecoder:
    path = tmp_path_factory.mktemp("ngram") / "letters.arpa"
    texts = ["THE CAT", "THE CAT", "A CAT", "THE BAT", "A BED"]
    write_arpa(path, kneser_ney(map(TOKENIZER.encode, texts), TOKENIZER.symbols, 4))
    found = make_decoder(DecodingOptions(name="beam", ngram=path), None, TOKENIZER, 0.03, {})
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
    asked: list[tuple[float, int]] = []
    halves = tuning._halves

    def recording(even: list, odd: list, items: list) -> tuple:
        for number, results in enumerate((even, odd)):
            asked.append((results[0].hypotheses[0].score, number))
        return halves(even, odd, items)

    best = tuning._best
    preferred = {(0, None, 2): 0.6, (1, None, 2): 0.0}  # the even, the odd half

    def choose(grid: list[Weights], counts: list, part: slice) -> Weights:
        weight = preferred.get((part.start, part.stop, part.step))
        if weight is None:
            return best(grid, counts, part)
        return next(weights for weights in grid if weights.ngram_weight == weight)

    monkeypatch.setattr(tuning, "_halves", recording)
    monkeypatch.setattr(tuning, "_best", choose)
    tune(decoder, emissions, TuningOptions(weights=(0.0, 0.6), rewards=(0.0,)))
    expected = [
        decode(replace(decoder, scorers=reweigh(decoder.scorers, Weights(None, weight, 0.0))), emissions)[0]
        for weight in (0.0, 0.6)  # the even half is decoded with what the odd half prefers
    ]
    assert [score for score, _ in asked] == [result.hypotheses[0].score for result in expected]
