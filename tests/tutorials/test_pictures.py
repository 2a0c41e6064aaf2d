"""Tests of the drawings that tutorials share."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from speechrnn.nn.recurrent import MODULES
from speechrnn.tutorials.pictures import CELLS, NAMES, colour_scale, heat_map, legend, line_axes


def test_each_kind_of_cell_has_a_name_and_a_line_of_its_own() -> None:
    assert CELLS.keys() == NAMES.keys() == MODULES.keys()
    for column in zip(*CELLS.values(), strict=True):  # colours, markers and dashes
        assert len(set(column)) == len(CELLS)


def test_the_first_row_of_a_heat_map_is_on_top() -> None:
    figure = Figure()
    axes = figure.add_axes((0.1, 0.1, 0.7, 0.8))
    mesh = heat_map(axes, np.array([[0.0, 1.0], [0.5, 0.25]]), ["top", "below"], columns=["a", "b"], numbers=True)
    bottom, top = axes.get_ylim()
    assert bottom > top  # the axis runs downwards
    assert [text.get_text() for text in axes.texts] == ["0.00", "1.00", "0.50", "0.25"]
    assert mesh.get_clim() == (0.0, 1.0)
    colour_scale(figure, axes, mesh, label="share")
    assert figure.axes[-1].get_ylabel() == "share"


def test_signed_values_have_their_zero_in_the_middle() -> None:
    axes = Figure().add_subplot()
    assert heat_map(axes, np.array([[-2.0, 3.0]]), signed=True, limit=4.0).get_clim() == (-4.0, 4.0)


def test_text_of_a_user_is_no_formula() -> None:
    axes = Figure().add_subplot()
    heat_map(axes, np.zeros((1, 1)), ["$x_"], columns=["$y^"])
    assert not any(label.get_parse_math() for label in (*axes.get_xticklabels(), *axes.get_yticklabels()))


def test_lines_have_labels_and_a_legend() -> None:
    axes = line_axes(Figure(), (0.1, 0.1, 0.8, 0.8), "steps", up="loss")
    axes.plot([0, 1], label="LSTM")
    legend(axes)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("steps", "loss")
    drawn = axes.get_legend()
    assert drawn is not None and [text.get_text() for text in drawn.get_texts()] == ["LSTM"]
