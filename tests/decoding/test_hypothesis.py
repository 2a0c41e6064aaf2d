"""Tests of the records that a decoder returns."""

from __future__ import annotations

import dataclasses

import pytest

from speechrnn.decoding.hypothesis import DecodingResult, Hypothesis, Word


def test_records_cannot_be_changed() -> None:
    word = Word("TUNA", 0.5, 0.9, confidence=0.98)
    with pytest.raises(dataclasses.FrozenInstanceError):
        word.confidence = 1.0  # type: ignore[misc]
    assert word == Word("TUNA", 0.5, 0.9, confidence=0.98)


def test_a_score_is_the_weighted_sum_of_its_parts() -> None:
    hypothesis = Hypothesis((1,), score=-2.5 + 0.5 * -2.0, acoustic=-2.5, parts={"language_model": -2.0})
    weighted = hypothesis.acoustic + sum(0.5 * part for part in hypothesis.parts.values())
    assert hypothesis.score == pytest.approx(weighted)
    assert hypothesis.open_word == ()


def test_an_utterance_without_words_is_a_result() -> None:
    empty = DecodingResult((), ("",), (Hypothesis((), 0.0, 0.0, parts={}),), frames=0)
    assert empty.texts[0] == "" and empty.features == ()
