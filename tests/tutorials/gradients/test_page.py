"""Tests of the page of the gradients, drawn from given results."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from helpers.html_page import Page
from helpers.pages import page_run

from speechrnn.tutorials.gradients.clipping import ClippingOptions, Descent
from speechrnn.tutorials.gradients.flow import Flow, FlowOptions
from speechrnn.tutorials.gradients.page import GradientResults, GradientsOptions, write_gradients
from speechrnn.tutorials.gradients.recall import RecallOptions, RecallResult
from speechrnn.tutorials.pictures import CELLS

OPTIONS = GradientsOptions(
    4,
    FlowOptions(2, (1, 2), (0.5, 2.0), forget_biases=(0.0, 4.0)),
    ClippingOptions(2.0, 3, 3, learning_rate=0.3, norm=1.0),
    recall=RecallOptions(3, (2, 5), 4, learning_rate=0.01),
    seed=1,
)


def results(learned: dict[str, int], huge: float = 1e6) -> GradientResults:
    """Return results in which each cell has learned delays up to that of `learned`."""
    flows = [
        Flow(cell, depth, scale, forget_bias=1.0, norms=[1.0, scale, scale**2])
        for cell in CELLS
        for depth in (1, 2)
        for scale in (0.5, 2.0)
    ]
    recalled = [
        RecallResult(
            cell,
            delay,
            0.5,
            steps=7 if delay <= learned.get(cell, 0) else None,
            before=[1.0] * 3,
            after=[1.0, 0.5, 0.25],
        )
        for cell in CELLS
        for delay in (2, 5)
    ]
    descents = {
        name: Descent(0.3, 1.0, [1.0, 0.5, 0.1], norms=[1.0, huge, 2.0]) for name in ("clipped", "not clipped", "slow")
    }
    return GradientResults(
        flows,
        [Flow("lstm", 1, 1.0, forget_bias=bias, norms=[1.0, 0.5, 0.2]) for bias in (0.0, 4.0)],
        descents,
        recalled=recalled,
    )


def test_the_longest_delay_that_a_cell_learned() -> None:
    found = results({"lstm": 5, "gru": 2})
    assert [found.longest(cell) for cell in ("lstm", "gru", "rnn_tanh")] == [5, 2, 0]
    assert found.trained("gru").delay == 5 and found.reach("lstm").depth == 1


@pytest.mark.parametrize("huge", [1e6, math.inf, math.nan])
def test_the_page_shows_each_cell_and_survives_numbers_that_are_none(tmp_path: Path, huge: float) -> None:
    page = Page(write_gradients(page_run(tmp_path), OPTIONS, results({"lstm": 5}, huge)))
    assert len(page.all("svg")) == 7
    text = page.text()
    assert (
        all(name in text for name in ("plain RNN", "GRU", "LSTM", "not learned")) and "nan" not in text.lower().split()
    )
