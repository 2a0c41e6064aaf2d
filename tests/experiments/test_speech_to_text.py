"""Tests of the values that an experiment of speech to text chooses for `auto`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from speechrnn.experiments.speech_to_text import SpeechToText
from speechrnn.text.phone_tokenizer import PhoneTokenizer
from speechrnn.text.pronunciations import Pronunciations
from speechrnn.text.tokenizers import CharTokenizer, Tokenizer, WordTokenizer
from speechrnn.training.defaults import AutoAcousticOptions, AutoFeatureOptions, AutoTrainerOptions, Choice

CHARACTERS = CharTokenizer.build(["AB"])
PHONES = PhoneTokenizer(Pronunciations({"to": [("T", "UW")]}))


def choose(tokenizer: Tokenizer, init_from: str | None = None, rate: int = 16000) -> Choice:
    cuts: Any = [SimpleNamespace(duration=10.0, recording=SimpleNamespace(sampling_rate=rate))] * 360
    options = SimpleNamespace(
        features=AutoFeatureOptions(),
        acoustic=AutoAcousticOptions(),
        trainer=AutoTrainerOptions(),
        augmentation=SimpleNamespace(waveform=SimpleNamespace(speeds=(0.9, 1.0, 1.1))),
        init_from=init_from,
    )
    experiment: Any = SimpleNamespace(options=options)
    return SpeechToText.choose(experiment, cuts, None, tokenizer=tokenizer, gpu=False, processes=1)


@pytest.mark.parametrize(("tokenizer", "stride"), [(CHARACTERS, 3), (PHONES, 3), (WordTokenizer.build(["A B"]), 4)])
def test_labels_that_are_many_a_second_get_more_frames(tokenizer: Tokenizer, stride: int) -> None:
    assert choose(tokenizer).acoustic.stride == stride


def test_a_model_to_begin_with_decides_on_its_own_stride_and_sampling_rate() -> None:
    """They stand at their defaults, which `InitialModel` replaces, and the log does not say that they were chosen."""
    choice = choose(CHARACTERS, init_from="english", rate=8000)
    assert (choice.acoustic.stride, choice.features.sampling_rate) == (3, 16000)
    assert not choice.chosen.keys() & {"acoustic.stride", "features.sampling_rate"}
    assert not any("stride" in reason or "sampling_rate" in reason for reason in choice.reasons)
    assert choose(CHARACTERS, rate=8000).features.sampling_rate == 8000


def test_a_model_to_begin_with_needs_a_sixth_of_the_epochs() -> None:
    assert (choose(CHARACTERS).trainer.epochs, choose(CHARACTERS, init_from="english").trainer.epochs) == (75, 12)


@pytest.mark.parametrize(
    ("decoding", "kind", "ngram", "finds"),
    [
        ("greedy", "word", None, False),
        ("beam", "char", None, False),
        ("beam", "word", None, True),
        ("beam", "char", Path("words.q8"), True),
    ],
)
def test_phones_need_a_language_model_of_words(decoding: str, kind: str, ngram: Path | None, finds: bool) -> None:
    options = SimpleNamespace(
        decoding=SimpleNamespace(name=decoding, ngram=ngram),
        language_model=None,
        prediction=SimpleNamespace(tokenizer=SimpleNamespace(kind=kind)),
    )
    experiment: Any = SimpleNamespace(options=options)
    assert SpeechToText._finds_words(experiment) == finds
