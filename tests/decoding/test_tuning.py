from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.emissions import TOKENIZER, emission

from speechrnn.decoding.decoder import BeamDecoder, make_decoder
from speechrnn.decoding.fusion import DecodingOptions
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
    assert tuned.weights.language_weight == 0.0  # there is none
    assert tuned.figures["wer"] == 0 and tuned.figures["utterances"] == 3
    texts = [one.texts[0] for one in decode(decoder, EMISSIONS)]
    assert texts == [one.texts[0] for emission in EMISSIONS for one in decode(decoder, [emission])]


def test_what_the_options_say_stays(decoder: BeamDecoder) -> None:
    fixed = replace(decoder, options=replace(decoder.options, ngram_weight=0.0, length_reward=0.5))
    tuned = tune(fixed, EMISSIONS, TuningOptions(weights=(0.6,), rewards=(1.0,)))
    assert (tuned.weights.ngram_weight, tuned.weights.length_reward) == (0.0, 0.5)
    assert tuned.figures["wer"] == pytest.approx(2 / 6)


def test_right_words() -> None:
    assert correct_words("THE CAT SAT", "THE BAT THAT SAT") == [True, False, False, True]
    assert correct_words("THE CAT", "") == []
