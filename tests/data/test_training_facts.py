"""Facts of a training part: counts, and the sampling rates that a model knows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from speechrnn.data.training_facts import TrainingFacts


def cut(text: str, speaker: str | None = None, rate: int = 16000, duration: float = 3600.0) -> Any:
    supervision = SimpleNamespace(text=text, speaker=speaker)
    return SimpleNamespace(sampling_rate=rate, duration=duration, supervisions=[supervision])


def test_hours_speakers_and_words_are_counted() -> None:
    facts = TrainingFacts.of(
        [cut("THE CAT", "ANN"), cut("THE BAT", "BEN", 8000, duration=1800.0), cut("A CAT", "ANN")], True
    )
    assert facts == TrainingFacts(
        hours=2.5,
        utterances=3,
        speakers=2,
        words=6,
        vocabulary=4,
        sampling_rates={"8000": 0.5, "16000": 2.0},
        narrow_band=True,
    )
    assert facts.describe() == "2.5 hours, 2 speakers, 4 different words"
    assert TrainingFacts.of([cut("A")]).describe() == "1.0 hours, 1 different word"


@pytest.mark.parametrize(
    ("rates", "narrow_band", "lowest"),
    [
        ({16000: 9.0}, False, 16000),
        ({16000: 9.0, 8000: 1.0}, False, 8000),
        ({16000: 99.0, 8000: 1.0}, False, 16000),  # too little to learn from
        ({16000: 9.0}, True, None),  # telephones were simulated
        ({16000: 9.0}, None, None),
        ({}, False, None),
    ],
)
def test_the_lowest_rate_is_one_that_the_model_knows_well(
    rates: dict[int, float], narrow_band: bool | None, lowest: int | None
) -> None:
    cuts = [cut("A", rate=rate, duration=3600 * hours) for rate, hours in rates.items()]
    assert TrainingFacts.of(cuts, narrow_band).lowest_rate == lowest


def test_a_model_that_was_fine_tuned_says_from_what_and_may_know_more() -> None:
    facts = TrainingFacts.of([cut("A")], narrow_band=False, init_from="english")
    assert facts.describe().endswith("fine-tuned from english") and facts.lowest_rate is None


@pytest.mark.parametrize("rate", ["16 kHz", "9" * 5000, "-1", "1\u0660"])
def test_a_rate_is_a_number_of_hertz(rate: str) -> None:
    with pytest.raises(ValueError, match="rate"):
        TrainingFacts(1.0, 1, 1, words=1, vocabulary=1, sampling_rates={rate: 1.0})
