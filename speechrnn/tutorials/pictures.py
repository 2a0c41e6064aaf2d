"""Draw heat maps and lines for the tutorials; one colour for each kind of cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from speechrnn.reports.plots import FIRST, GRID, INK, SECOND, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GREEN = "#009e73"  # Okabe and Ito's, which stands out on a light page and on a dark one
# (colour, marker, dashes): told apart without colours as well.
CELLS = {"rnn_tanh": (SECOND, "s", "--"), "gru": (GREEN, "^", "-."), "lstm": (FIRST, "o", "-")}
NAMES = {"rnn_tanh": "plain RNN", "gru": "GRU", "lstm": "LSTM"}


def heat_map(
    axes: Axes,
    values: np.ndarray,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    signed: bool = False,
    numbers: bool = False,
    limit: float = 1.0,
) -> Any:
    """Draw (rows, columns) as coloured squares, the first row on top; returns what `colour_scale` needs.

    Args:
        signed: whether values run from -limit to limit (red to blue) instead of from 0 to limit (white to blue).
        numbers: whether each square also shows its value.
    """
    edges = np.arange(values.shape[1] + 1) - 0.5, np.arange(values.shape[0] + 1) - 0.5
    low, colours = (-limit, "RdBu") if signed else (0.0, "Blues")
    mesh = axes.pcolormesh(*edges, values, cmap=colours, vmin=low, vmax=limit, rasterized=True)
    axes.set_ylim(values.shape[0] - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), rows, parse_math=False, fontsize=9)
    axes.set_xticks(range(len(columns)), columns, parse_math=False, fontsize=9)
    style_axes(axes)
    if numbers:
        for (row, column), value in np.ndenumerate(values):
            colour = "white" if abs(value) > 0.6 * limit else "#1b2530"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=8)
    return mesh


def colour_scale(figure: Figure, axes: Axes, mesh: Any, label: str) -> None:
    """Draw the colour scale of `axes` beside it."""
    box = axes.get_position()
    low, high = mesh.get_clim()
    place = figure.add_axes((box.x1 + 0.012, box.y0, 0.012, box.height))
    scale = figure.colorbar(mesh, cax=place, ticks=[low, (low + high) / 2, high])
    scale.set_label(label, color=INK)
    scale.outline.set_visible(False)
    style_axes(scale.ax)


def line_axes(figure: Figure, place: tuple[float, float, float, float], across: str, up: str) -> Axes:
    """Add empty axes with a grid and labels; `place` is left, bottom, width and height as shares of the figure."""
    axes = figure.add_axes(place)
    axes.set(xlabel=across, ylabel=up)
    axes.grid(True, color=GRID, linewidth=0.8)
    style_axes(axes)
    return axes


def legend(axes: Axes, columns: int = 3) -> None:
    """Put the names of the lines above the axes."""
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.02, 0.99), ncols=columns, frameon=False, labelcolor=INK, fontsize=9
    )
