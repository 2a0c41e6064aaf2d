"""The settings of live recognition."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from helpers.acoustic_models import streaming_model

from speechrnn.core.errors import UserError
from speechrnn.nn.recurrent import Blocks
from speechrnn.transcription.streaming_options import blocks_for


def test_latency_becomes_blocks() -> None:
    for latency in (0.03, 0.1, 0.3, 0.6, 1.2):
        blocks = blocks_for(latency, streaming_model()[0])
        assert blocks.latency == round(latency / 0.03)
        assert blocks.right >= math.floor(0.4 * blocks.latency)
    assert blocks_for(0.3, streaming_model(bidirectional=False)[0]).right == 0


@pytest.mark.parametrize(
    ("latency", "size", "right"),
    [(0.03, 1, 0), (0.1, 2, 1), (0.15, 3, 2), (0.2, 3, 4), (0.3, 3, 7), (0.4, 6, 7), (0.6, 12, 8), (1.2, 24, 16)],
)
def test_short_latencies_are_mostly_look_ahead(latency: float, size: int, right: int) -> None:
    assert blocks_for(latency, streaming_model()[0]) == Blocks(size, right)


@pytest.mark.parametrize("latency", [0.2, 0.3, 0.6, 1.2])
def test_live_blocks_are_among_those_of_the_training(latency: float) -> None:
    model, _ = streaming_model(streaming=1.0, latency=(latency, latency))
    torch.manual_seed(0)
    assert blocks_for(latency, model) in [model.draw_blocks() for _ in range(200)]


@pytest.mark.parametrize("latency", [math.nan, math.inf, 0, -1, 31, "x", None])
def test_what_is_no_latency_is_named(latency: Any) -> None:
    with pytest.raises(UserError, match=r"latency=.* is wrong"):
        blocks_for(latency, streaming_model()[0])
