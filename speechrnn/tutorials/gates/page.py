"""Write the page of the gates; its text, the drawing of the cell and the equations stand in page.html and cell.svg."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from markupsafe import Markup

from speechrnn.experiments.run import Run
from speechrnn.reports.plots import INK, figure_style, svg
from speechrnn.tutorials.gates.activations import Activations
from speechrnn.tutorials.gates.cell import Step
from speechrnn.tutorials.gates.model import SHOWN, GateAnalysis
from speechrnn.tutorials.gates.tracking import SIGNALS, Tracker
from speechrnn.tutorials.page import scientific, write_page
from speechrnn.tutorials.pictures import colour_scale, heat_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS = 64  # cells of a picture
COLOURED = 500  # tokens of a coloured text
HIGH, LOW = "0, 114, 178", "213, 94, 0"  # Okabe and Ito's blue and vermilion, mixed with the page's colour
CLEAR = 0.5  # correlation from which a cell follows a signal clearly,
BETTER = 0.2  # and by how much it must exceed that of the best cell before training
PANELS = ("forget", "input", "output")


@dataclass(frozen=True)
class LayerView:
    """A layer as the page shows it."""

    drawing: Markup
    units: int
    shown: int


@dataclass(frozen=True)
class ColouredToken:
    """A token and the CSS colour of a cell's memory after it."""

    text: str
    colour: str


@dataclass(frozen=True)
class TrackerView:
    """A cell that follows something, as the page shows it."""

    title: str
    description: str
    drawing: Markup
    tokens: Sequence[ColouredToken]


def write_gates(run: Run, analysis: GateAnalysis, source: str) -> Path:
    """Write report.html and return its path.

    Args:
        source: which model it is.
    """
    forget = torch.cat([layer.forget.mean(0) for layer in analysis.held_out.layers])
    layers = range(analysis.model.options.layers)
    units = [analysis.sentence.layers[number].cell.shape[1] for number in layers]
    return write_page(
        run,
        Path(__file__).parent,
        ("hochreiter", "gers", "karpathy", "jozefowicz"),
        title="Gates",
        subtitle=f"What an LSTM forgets, adds and outputs while it reads: {source}",
        difference=scientific(analysis.difference),
        cells=len(forget),
        layers=len(layers),
        forget_mean=forget.mean().item(),
        long_memories=int((forget > 0.95).sum()),
        best=max(analysis.trackers, key=lambda tracker: abs(tracker.correlation), default=None),
        gates=[LayerView(_gates_picture(analysis, number), units[number], ROWS) for number in layers],
        cut=SHOWN if len(analysis.sentence.tokens) > SHOWN else 0,
        trackers_table=_table(analysis),
        trackers=[_view(analysis, tracker) for tracker in analysis.trackers],
    )


def memory_length(layer: Step, unit: int) -> float:
    """Return about how many tokens a cell remembers: the forget gate multiplies its memory at each of them."""
    return 1 / max(1e-3, 1 - layer.forget[:, unit].mean().item())


def _table(analysis: GateAnalysis) -> list[tuple[str, ...]]:
    before = {tracker.name: tracker.correlation for tracker in analysis.untrained}
    return [
        (
            tracker.name,
            f"{tracker.unit + 1} of layer {tracker.layer + 1}",
            f"{tracker.correlation:+.2f}",
            f"{before[tracker.name]:+.2f}",
            f"about {memory_length(analysis.held_out.layers[tracker.layer], tracker.unit):,.0f} tokens",
        )
        for tracker in analysis.trackers
    ]


def _view(analysis: GateAnalysis, tracker: Tracker) -> TrackerView:
    (before,) = (abs(other.correlation) for other in analysis.untrained if other.name == tracker.name)
    clear = abs(tracker.correlation) >= max(CLEAR, before + BETTER)
    follows = "follows it clearly" if clear else "follows it, but not clearly"
    sign = "; its memory falls where the signal rises" if tracker.correlation < 0 else ""
    tokens = analysis.held_out.tokens
    middle = len(tokens) // 2
    begin = next((place + 1 for place in range(middle, len(tokens)) if tokens[place] == "\n"), middle)
    return TrackerView(
        title=tracker.name.capitalize(),
        description=f"cell {tracker.unit + 1} of layer {tracker.layer + 1} {follows}: "
        f"correlation {tracker.correlation:+.2f}{sign}",
        drawing=_tracker_picture(analysis, tracker),
        tokens=colour_tokens(analysis.held_out.part(begin, begin + COLOURED), tracker),
    )


def colour_tokens(activations: Activations, tracker: Tracker) -> list[ColouredToken]:
    """Return each token with the colour of the cell's memory after it: blue where it is high, orange where low."""
    cell = activations.layers[tracker.layer].cell[:, tracker.unit].numpy()
    low, high = np.percentile(cell, (2, 98)) if len(cell) else (0.0, 0.0)
    values = np.clip(2 * (cell - low) / max(high - low, 1e-9) - 1, -1, 1)
    return [
        ColouredToken("↵\n" if token == "\n" else token, f"rgba({HIGH if value > 0 else LOW}, {0.6 * abs(value):.2f})")
        for token, value in zip(activations.tokens, values.tolist(), strict=True)
    ]


@figure_style()
def _gates_picture(analysis: GateAnalysis, number: int) -> Markup:
    from matplotlib.figure import Figure

    activations = analysis.sentence.part(0, SHOWN)
    step = activations.layers[number]
    order = analysis.held_out.layers[number].forget.mean(0).argsort(descending=True)
    if len(order) > ROWS:
        order = order[torch.linspace(0, len(order) - 1, ROWS).round().long()]
    shown = [*((f"{name} gate", getattr(step, name), False) for name in PANELS), ("memory", step.cell.tanh(), True)]
    high, low = 1.5, 0.6  # inches of a panel, and below the last
    figure = Figure(figsize=(10.5, len(shown) * high + low))
    total = len(shown) * high + low
    for row, (name, values, signed) in enumerate(shown):
        bottom = (low + (len(shown) - 1 - row) * high + 0.08) / total
        axes = figure.add_axes((0.06, bottom, 0.86, (high - 0.16) / total))
        last = row == len(shown) - 1
        mesh = heat_map(axes, values[:, order].T.numpy(), signed=signed)
        axes.set_ylabel(name)
        _token_axis(axes, activations.tokens if last else [])
        colour_scale(figure, axes, mesh, label="")
    return svg(figure, f"gates{number}", "Forget, input and output gates and the memory of each cell at each token")


@figure_style()
def _tracker_picture(analysis: GateAnalysis, tracker: Tracker) -> Markup:
    from matplotlib.figure import Figure

    activations = analysis.sentence.part(0, SHOWN)
    step = activations.layers[tracker.layer]
    signal = np.array(SIGNALS[tracker.name](activations.tokens))
    rows = [(tracker.name, signal / max(signal.max(), 1), False)]
    rows += [(f"{name} gate", getattr(step, name)[:, tracker.unit].numpy(), False) for name in PANELS]
    memory = step.cell[:, tracker.unit].numpy()
    rows.append(("memory", memory / max(np.abs(memory).max(), 1e-9), True))
    high, low = 0.3, 0.45
    total = len(rows) * high + low
    figure = Figure(figsize=(10.5, total))
    for row, (name, values, signed) in enumerate(rows):
        bottom = (low + (len(rows) - 1 - row) * high + 0.02) / total
        axes = figure.add_axes((0.14, bottom, 0.85, (high - 0.04) / total))
        heat_map(axes, values[None], [name], signed=signed)
        axes.tick_params(axis="y", length=0)
        _token_axis(axes, activations.tokens if row == len(rows) - 1 else [])
    name = f"cell-{tracker.layer}-{tracker.unit}-{list(SIGNALS).index(tracker.name)}"
    return svg(figure, name, f"Gates and memory of the cell that follows: {tracker.name}")


def _token_axis(axes: Axes, tokens: Sequence[str]) -> None:
    """Write the tokens below their columns: characters upright, words turned by 90 degrees."""
    names = [{"\n": "↵", " ": "␣"}.get(token, token.strip()) for token in tokens]
    words = any(len(name) > 1 for name in names)
    axes.set_xticks(range(len(names)), names, parse_math=False, fontsize=8, rotation=90 if words else 0, color=INK)
    axes.tick_params(axis="x", length=0, pad=2)
