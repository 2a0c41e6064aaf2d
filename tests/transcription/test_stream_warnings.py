"""A stream tells once why its words deserve doubt."""

from __future__ import annotations

import logging

import pytest
import torch

from speechrnn.decoding.model_facts import ModelFacts
from speechrnn.decoding.uncertainty import DevStatistics
from speechrnn.transcription.stream_warnings import RECENT_LABELS, StreamWarnings
from speechrnn.transcription.transcript_warnings import UNFAMILIAR, channels_cancel

DEV = DevStatistics(utterances=60, uncertainty=0.3, deviation=0.2)


def emissions(labels: int, sure: float) -> torch.Tensor:
    """Emissions of so many labels, each of one frame and of the probability `sure`, with sure blanks between."""
    rows = torch.tensor([[1 - sure, sure], [1.0, 1e-9]]).repeat(labels, 1)
    return rows.log()


def test_speech_like_the_dev_part_has_no_warning() -> None:
    warnings = StreamWarnings(ModelFacts(dev=DEV), 16000)
    for _ in range(20):
        warnings.check_segment(emissions(30, 0.95))
    assert warnings.all == ()


def test_unfamiliar_sound_is_told_once_also_late(caplog: pytest.LogCaptureFixture) -> None:
    warnings = StreamWarnings(ModelFacts(dev=DEV), 16000)
    for _ in range(200):
        warnings.check_segment(emissions(30, 0.95))
    with caplog.at_level(logging.WARNING, "speechrnn"):
        for _ in range(RECENT_LABELS // 30 + 1):  # after which the familiar sound counts no more
            warnings.check_segment(emissions(30, 0.55))
    assert [warning.kind for warning in warnings.all] == [UNFAMILIAR]
    assert len(caplog.records) == 1
    assert warnings.take() == warnings.all
    assert warnings.take() == ()


def test_memory_does_not_grow() -> None:
    warnings = StreamWarnings(ModelFacts(dev=DEV), 16000)
    for _ in range(1000):
        warnings.check_segment(emissions(10, 0.95))
    assert len(warnings._recent) <= RECENT_LABELS // 10 + 1


def test_each_kind_is_told_once() -> None:
    warnings = StreamWarnings(ModelFacts(), 16000)
    warnings.add(channels_cancel(0))
    warnings.add(channels_cancel(1))
    assert len(warnings.all) == 1
