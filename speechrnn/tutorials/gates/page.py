"""The page of the gates: what they do at each token, and the cells that keep track of something."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from speechrnn.experiments.run import Run
from speechrnn.reports import html as markup
from speechrnn.reports.plots import INK, style, svg
from speechrnn.tutorials.gates.cell import Step
from speechrnn.tutorials.gates.model import SHOWN, Watched
from speechrnn.tutorials.gates.reading import Reading
from speechrnn.tutorials.gates.tracking import SIGNALS, Tracker
from speechrnn.tutorials.page import across, paragraph, power, tiles, write_page
from speechrnn.tutorials.pictures import colour_scale, heat_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS = 64  # cells of a picture
COLOURED = 500  # tokens of a coloured text
HIGH, LOW = "0, 114, 178", "213, 94, 0"  # Okabe and Ito's blue and vermilion, as a browser mixes them with the page
CLEAR = 0.5  # correlation from which a cell may be said to follow something,
BETTER = 0.2  # if none did nearly as well before training
PANELS = ("forget", "input", "output")


def write_gates(run: Run, watched: Watched, source: str) -> Path:
    """Writes report.html; `source` says which model it is."""
    layers = watched.model.options.layers
    sections = [
        _summary(watched),
        markup.section(
            "The sentence, gate by gate",
            paragraph(
                "One column a token, one row a cell. The forget gate says how much of a cell's memory survives the "
                "token (dark: kept, light: wiped), the input gate how much of something new is let in, the output gate "
                "how much is shown. Below is the memory itself. The cells are sorted by how long they remember: those "
                "on top hardly ever forget, those at the bottom start anew with nearly every token."
            ),
            *(_layer(watched, number) for number in range(layers)),
        ),
        markup.section(
            "Cells that keep track",
            paragraph(
                "Nobody told the network what to remember, and most cells mean nothing that could be named. But some "
                "do. Each was found as the cell that goes most closely with its signal on one half of a text that the "
                "model has not learnt from; the correlation is that on the other half."
            ),
            _table(watched),
            *(_tracker(watched, tracker) for tracker in watched.trackers),
        ),
        markup.section(
            "The cell, step by step",
            paragraph(
                "At every token, from the token and from what it said last, the cell (1) decides what to forget, (2) "
                "makes up a candidate and decides how much of it to take in, (3) updates its memory: the old one times "
                "the forget gate, plus the candidate times the input gate, and (4) decides how much of it to show. "
                "tutorials/gates/cell.py has these four steps written out, and all that is drawn here comes out "
                f"of it. Against torch's own LSTM, its largest difference on this text is {power(watched.difference)}."
            ),
        ),
    ]
    subtitle = f"What an LSTM forgets, takes in and shows while it reads: {source}"
    return write_page(run, "Gates", subtitle, sections, ("hochreiter", "gers", "karpathy", "jozefowicz"))


def memory(layer: Step, unit: int) -> float:
    """About how many tokens a cell remembers: its memory shrinks by its forget gate at each."""
    return 1 / max(1e-3, 1 - layer.forget[:, unit].mean().item())


def _summary(watched: Watched) -> str:
    forget = torch.cat([layer.forget.mean(0) for layer in watched.held_out.layers])
    best = max(watched.trackers, key=lambda tracker: abs(tracker.correlation), default=None)
    found = (
        ("Clearest cell", best.name, f"correlation {best.correlation:+.2f}")
        if best
        else ("Clearest cell", "none", "the text has no quotes, lines or words to follow")
    )
    return markup.section(
        "Summary",
        tiles(
            ("Cells", f"{len(forget):,}", markup.number(watched.model.options.layers, "layer")),
            ("Forget gate", f"{forget.mean():.2f}", "mean over all cells and tokens"),
            ("Long memories", f"{int((forget > 0.95).sum()):,}", "cells that keep over 95 % at each token"),
            found,
        ),
    )


def _layer(watched: Watched, number: int) -> str:
    title = f"<h3>Layer {number + 1}</h3>" if len(watched.sentence.layers) > 1 else ""
    units = watched.sentence.layers[number].cell.shape[1]
    some = markup.note(f"{ROWS} of {units:,} cells, evenly from the sorted ones.") if units > ROWS else ""
    cut = markup.note(f"The first {SHOWN} tokens.") if len(watched.sentence.tokens) > SHOWN else ""
    return title + across(_gates_picture(watched, number)) + some + cut


def _table(watched: Watched) -> str:
    before = {tracker.name: tracker.correlation for tracker in watched.untrained}
    rows = [
        (
            tracker.name,
            f"{tracker.unit + 1} of layer {tracker.layer + 1}",
            f"{tracker.correlation:+.2f}",
            f"{before[tracker.name]:+.2f}",
            f"{memory(watched.held_out.layers[tracker.layer], tracker.unit):.0f} tokens",
        )
        for tracker in watched.trackers
    ]
    header = ["What it follows", "Cell", "Correlation", "Best cell before training", "Remembers about"]
    return markup.table("llrrr", header, rows)


def _tracker(watched: Watched, tracker: Tracker) -> str:
    where = f"cell {tracker.unit + 1} of layer {tracker.layer + 1}"
    (before,) = (abs(other.correlation) for other in watched.untrained if other.name == tracker.name)
    clear = abs(tracker.correlation) >= max(CLEAR, before + BETTER)
    follows = "follows it" if clear else "goes with it, but not clearly"
    falls = ", upside down" if tracker.correlation < 0 else ""
    tokens = watched.held_out.tokens
    begin = next(
        (place + 1 for place in range(len(tokens) // 2, len(tokens)) if tokens[place] == "\n"), len(tokens) // 2
    )
    text = watched.held_out.part(begin, begin + COLOURED)
    return (
        f"<h3>{markup.escape(tracker.name.capitalize())} <small>{where} {follows}{falls}: correlation "
        f"{tracker.correlation:+.2f}</small></h3>"
        + across(_tracker_picture(watched, tracker))
        + markup.details("The same cell on more of the held-out text", coloured(text, tracker))
    )


def coloured(reading: Reading, tracker: Tracker) -> str:
    """A text, each token on the colour of the cell's memory after it: blue where it is high, orange where it is low."""
    cell = reading.layers[tracker.layer].cell[:, tracker.unit].numpy()
    low, high = np.percentile(cell, (2, 98))
    values = np.clip(2 * (cell - low) / max(high - low, 1e-9) - 1, -1, 1)
    spans = []
    for token, value in zip(reading.tokens, values.tolist(), strict=True):
        shown = markup.escape("↵\n" if token == "\n" else token)
        colour = f"rgba({HIGH if value > 0 else LOW}, {0.6 * abs(value):.2f})"
        spans.append(f'<span style="background: {colour}">{shown}</span>')
    return f'<pre style="white-space: pre-wrap">{"".join(spans)}</pre>'


@style()
def _gates_picture(watched: Watched, number: int) -> str:
    from matplotlib.figure import Figure

    reading = watched.sentence.part(0, SHOWN)
    step = reading.layers[number]
    order = watched.held_out.layers[number].forget.mean(0).argsort(descending=True)
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
        _token_axis(axes, reading.tokens if last else [])
        colour_scale(figure, axes, mesh, "")
    return svg(figure, f"gates{number}", "Forget, input and output gates and the memory of each cell at each token")


@style()
def _tracker_picture(watched: Watched, tracker: Tracker) -> str:
    from matplotlib.figure import Figure

    reading = watched.sentence.part(0, SHOWN)
    step = reading.layers[tracker.layer]
    signal = np.array(SIGNALS[tracker.name](reading.tokens))
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
        _token_axis(axes, reading.tokens if row == len(rows) - 1 else [])
    name = f"cell-{tracker.layer}-{tracker.unit}-{list(SIGNALS).index(tracker.name)}"
    return svg(figure, name, f"The gates and the memory of the cell that follows: {tracker.name}")


def _token_axis(axes: Axes, tokens: Sequence[str]) -> None:
    """The tokens below their columns: characters upright, words on their side."""
    names = [{"\n": "↵", " ": "␣"}.get(token, token.strip()) for token in tokens]
    words = any(len(name) > 1 for name in names)
    axes.set_xticks(range(len(names)), names, parse_math=False, fontsize=8, rotation=90 if words else 0, color=INK)
    axes.tick_params(axis="x", length=0, pad=2)
