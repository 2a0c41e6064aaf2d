"""Signals in a text, and the cells that follow them."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from helpers.gates import activations_of
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.tutorials.gates.activations import Activations
from speechrnn.tutorials.gates.cell import Step
from speechrnn.tutorials.gates.tracking import (
    Tracker,
    correlations,
    find_trackers,
    inside_quotes,
    place_in_line,
    place_in_sentence,
    place_in_word,
    signals,
)


def make_activations(*cells: torch.Tensor) -> Activations:
    """Layers with such memories; their gates do not matter here."""
    return Activations(TEXT, [Step(**{field.name: layer for field in fields(Step)}) for layer in cells])


TEXT = list('Ab "cd e" f.\nGh "i" jk!\n' * 4)


def test_quotes_open_and_close() -> None:
    assert inside_quotes('a"b"c') == [0, 1, 1, 0, 0]
    assert inside_quotes("a“b”c") == [0, 1, 1, 0, 0]
    assert inside_quotes(["x", '"y"', "z"]) == [0, 0, 0]  # a token that opens and closes


def test_an_empty_line_closes_a_quotation() -> None:
    assert inside_quotes('"a\nb\n\nc') == [1, 1, 1, 1, 1, 0, 0]


def test_places_count_characters() -> None:
    assert place_in_line("ab\ncd") == [1, 2, 0, 1, 2]
    assert place_in_line(["ab", "c", "\n", "d"]) == [2, 3, 0, 1]
    assert place_in_word("ab, c") == [1, 2, 0, 0, 1]
    assert place_in_sentence("a.b! c") == [1, 0, 1, 0, 1, 2]


def test_constant_signals_and_words_of_word_models_are_left_out() -> None:
    assert list(signals(TEXT, characters=True)) == [
        "inside quotes",
        "place in the line",
        "place in the word",
        "place in the sentence",
    ]
    assert "place in the word" not in signals(TEXT, characters=False)
    assert list(signals(list("abab" * 5), characters=True)) == [
        "place in the line",
        "place in the word",
        "place in the sentence",
    ]
    assert signals([], characters=True) == {}


def test_correlations_are_pearsons() -> None:
    generator = torch.Generator().manual_seed(0)
    cells, signal = torch.randn(50, 3, generator=generator), torch.randn(50, generator=generator)
    expected = torch.corrcoef(torch.cat([cells.T, signal[None]]))[3, :3]
    torch.testing.assert_close(correlations(cells, signal), expected)
    assert correlations(torch.ones(50, 1), signal).item() == 0


def test_finds_the_cell_of_each_signal_in_any_layer() -> None:
    generator = torch.Generator().manual_seed(1)
    found = signals(TEXT, characters=True)
    first, second = torch.randn(len(TEXT), 5, generator=generator), torch.randn(len(TEXT), 4, generator=generator)
    second[:, 3] = -found["inside quotes"]
    first[:, 2] = 2 * found["place in the line"] + 1
    trackers = {tracker.name: tracker for tracker in find_trackers(make_activations(first, second), characters=True)}
    quotes, line = trackers["inside quotes"], trackers["place in the line"]
    assert (quotes.layer, quotes.unit, round(quotes.correlation, 3)) == (1, 3, -1.0)
    assert (line.layer, line.unit, round(line.correlation, 3)) == (0, 2, 1.0)


def test_a_cell_is_chosen_on_one_half_and_judged_on_the_other() -> None:
    signal = signals(TEXT, characters=True)["inside quotes"]
    cells = torch.zeros(len(TEXT), 2)
    half = (len(TEXT) + 1) // 2
    cells[:half, 1] = signal[:half]  # follows on the first half only
    cells[half:, 0] = signal[half:]
    tracker = next(t for t in find_trackers(make_activations(cells), characters=True) if t.name == "inside quotes")
    assert tracker.unit == 1 and abs(tracker.correlation) < 0.01


def test_signals_of_a_text_with_open_quotes() -> None:
    tokens = list('ab "c d." e\n\n"f')
    assert inside_quotes(tokens) == [0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1]
    assert place_in_line(tokens) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 0, 1, 2]
    assert place_in_word(tokens) == [1, 2, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1]
    assert place_in_sentence(tokens)[6:9] == [7, 0, 1]
    assert inside_quotes(list('"a\n\nb')) == [1, 1, 1, 0, 0]  # an empty line closes what was left open
    assert inside_quotes(list("x“y”z")) == [0, 1, 1, 0, 0]
    others = ["place in the line", "place in the word", "place in the sentence"]
    assert list(signals(tokens * 2, characters=False)) == ["inside quotes", others[0], others[2]]
    assert list(signals(list("aaaa"), characters=True)) == others


@given(st.lists(st.lists(st.floats(-5, 5, width=32), min_size=3, max_size=3), min_size=4, max_size=30))
def test_correlations_are_numpys(rows: list[list[float]]) -> None:
    values = np.array(rows) + np.random.default_rng(0).normal(size=(len(rows), 3))
    signal = torch.from_numpy(values[:, 2])
    expected = [np.corrcoef(values[:, unit], values[:, 2])[0, 1] for unit in (0, 1)]
    assert correlations(torch.from_numpy(values[:, :2]), signal).tolist() == pytest.approx(expected, abs=1e-9)


def test_the_cell_is_found_where_it_is_and_judged_elsewhere() -> None:
    torch.manual_seed(0)
    text = 'so "he" said.\n' * 40
    quotes = torch.tensor(inside_quotes(list(text)))
    layers = [torch.randn(len(text), 4), torch.randn(len(text), 6)]
    layers[1][:, 3] = 2 - 3 * quotes
    tracker = find_trackers(activations_of(text, layers), characters=True)[0]
    assert replace(tracker, correlation=0.0) == Tracker("inside quotes", 1, 3, correlation=0.0)
    assert tracker.correlation == pytest.approx(-1)
    # One that follows them on the half where cells are chosen, and means nothing on the other.
    layers[1][:, 3] = torch.randn(len(text))
    layers[0][: len(text) // 2, 1] = quotes[: len(text) // 2]
    tracker = find_trackers(activations_of(text, layers), characters=True)[0]
    assert (tracker.layer, tracker.unit) == (0, 1) and abs(tracker.correlation) < 0.3
