"""Tests of warnings of recordings that are unlike a model's training data, and of a job with many of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from speechrnn.data.training_facts import TrainingFacts
from speechrnn.decoding.hypothesis import DecodingResult, Hypothesis, Word
from speechrnn.decoding.model_facts import FILE, ModelFacts, update_facts
from speechrnn.decoding.uncertainty import DevStatistics, Uncertainty
from speechrnn.transcription.transcript import DecodedSegment
from speechrnn.transcription.unfamiliar import describe_job, find_unfamiliar, lowest_rate

TRAINING = TrainingFacts(1.5, 900, 12, words=4000, vocabulary=60, sampling_rates={"16000": 1.5}, narrow_band=False)
FACTS = ModelFacts(TRAINING, DevStatistics(utterances=60, uncertainty=0.3, deviation=0.1))


def segment(entropy: float, labels: int, word: bool = True) -> DecodedSegment:
    words = (Word("A", 0.0, 0.1, confidence=0.9),) if word else ()
    best = Hypothesis((1,), -1.0, -1.0, parts={})
    return DecodedSegment(
        0.0, DecodingResult(words, ("A" if word else "",), (best,), frames=10), Uncertainty(entropy, labels)
    )


def test_the_warning_says_what_the_model_knows() -> None:
    (warning,) = find_unfamiliar([segment(100.0, 100), segment(50.0, 50)], FACTS)
    assert warning.kind == "unfamiliar"
    assert all(words in warning.message for words in ("1.5 hours", "12 speakers", "60 different words", "3.1 times"))


def test_the_segments_of_a_recording_count_together() -> None:
    odd, usual = segment(20.0, 20), segment(300.0, 1000)
    assert find_unfamiliar([odd], FACTS) and not find_unfamiliar([odd, usual], FACTS)


def test_there_is_no_warning_without_words_or_facts() -> None:
    assert find_unfamiliar([segment(100.0, 100, word=False)], FACTS) == []
    assert find_unfamiliar([segment(100.0, 100)], ModelFacts(TRAINING)) == []
    (warning,) = find_unfamiliar([segment(100.0, 100)], ModelFacts(dev=FACTS.dev))
    assert "hours" not in warning.message


@pytest.mark.parametrize(("number", "files", "told"), [(1, 1, True), (4, 10, True), (3, 10, False), (0, 5, False)])
def test_a_job_is_unfamiliar_where_many_files_are(tmp_path: Path, number: int, files: int, told: bool) -> None:
    update_facts(tmp_path, training=TRAINING)
    sentence = describe_job([["unfamiliar"]] * number + [["narrow_band"]] * (files - number), files, tmp_path)
    assert (sentence is not None) == told
    if sentence is not None:
        assert str(tmp_path) in sentence and "1.5 hours" in sentence and sentence.count(".") >= 2
    assert describe_job([], 0, tmp_path) is None


def test_facts_that_are_damaged_meanwhile_do_not_end_a_job(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("{")
    assert "The recording" in str(describe_job([["unfamiliar"]], 1, tmp_path))


def test_the_lowest_rate_is_no_higher_than_the_models() -> None:
    assert lowest_rate(TRAINING, 16000) == 16000 and lowest_rate(TRAINING, 8000) == 8000
    assert lowest_rate(None, 16000) is None
