"""Draw learning curves, and turn matplotlib figures into SVG for a page.

Text stays text, so that the browser sets it with its own fonts, in any script and direction. Colours that must suit a
light and a dark page are CSS variables, which templates/style.css defines.
"""

from __future__ import annotations

import contextlib
import html
import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Placeholders, which `svg` replaces by the page's colours.
INK, GRID, FIRST, SECOND = "#010203", "#040506", "#070809", "#0a0b0c"
PAGE_COLOURS = {INK: "var(--ink)", GRID: "var(--line)", FIRST: "var(--first)", SECOND: "var(--second)"}

History = Sequence[Mapping[str, "float | None"]]


@contextlib.contextmanager
def figure_style() -> Iterator[None]:
    """Use matplotlib's own defaults while a figure is made, whatever the user's are; also a decorator."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        # matplotlib's fonts only serve to estimate widths; the browser draws the letters.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


@figure_style()
def loss_curves(history: History, best_epoch: int) -> Markup:
    """Draw the loss on train and, where there is one, on dev, over epochs.

    Args:
        history: one record an epoch, from 1: "epoch", "train_loss" and "dev_loss" in nats a label.
        best_epoch: is marked; -1 for none.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    series = {"train": _column(history, "train_loss"), "dev": _column(history, "dev_loss")}
    figure, axes = _curves(history, series, best_epoch)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel("loss, nats per label")
    return svg(figure, "loss-curves", "Loss over the epochs of training")


@figure_style()
def perplexity_curves(history: History, best_epoch: int) -> Markup:
    """Draw the perplexity on train and, where there is one, on the validation text, over epochs.

    Args:
        history: one record an epoch, from 1: "epoch", "train_loss" in nats a token, "valid_perplexity".
        best_epoch: is marked; -1 for none.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    series = {"train": np.exp(_column(history, "train_loss")).tolist(), "valid": _column(history, "valid_perplexity")}
    figure, axes = _curves(history, series, best_epoch)
    values = np.array(list(series.values()))
    values = values[np.isfinite(values)]
    if len(values) and values.max() > 10 * values.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.set_ylabel("perplexity")
    return svg(figure, "perplexity-curves", "Perplexity over the epochs of training")


@figure_style()
def error_curves(history: History, best_epoch: int) -> Markup:
    """Draw word and character error rates on dev over epochs, in per cent; "" where there is no dev part.

    The axis is linear from 0 to 1 % and logarithmic above.

    Args:
        history: one record an epoch, from 1: "epoch", "dev_wer" and "dev_cer", fractions.
        best_epoch: is marked; -1 for none.
    """
    names = {"words": "dev_wer", "characters": "dev_cer"}
    series = {label: [100 * value for value in _column(history, name)] for label, name in names.items()}
    values = np.array(list(series.values()))
    if not np.isfinite(values).any():
        return Markup("")
    figure, axes = _curves(history, series, best_epoch)
    top = 1.2 * max(2.0, float(values[np.isfinite(values)].max()))
    ticks = [tick for tick in (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if tick <= top]
    axes.set_yscale("symlog", linthresh=1.0, linscale=0.5)
    axes.set_ylim(0, top)
    axes.set_yticks(ticks, [f"{tick} %" for tick in ticks])
    axes.minorticks_off()
    axes.set_ylabel("error rate on dev")
    return svg(figure, "error-curves", "Word and character error rates on dev over the epochs of training")


def _column(history: History, name: str) -> list[float]:
    """Return a column of the history, nan where a record has no such number."""
    values = (record.get(name) for record in history)
    return [np.nan if value is None else float(value) for value in values]


def _curves(history: History, series: Mapping[str, list[float]], best_epoch: int) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(5.4, 3.1))
    axes = figure.add_axes((0.14, 0.15, 0.84, 0.73))
    epochs = [record["epoch"] or 0 for record in history]
    for (label, values), colour, dashes, marker in zip(series.items(), (FIRST, SECOND), ("-", "--"), "os", strict=True):
        if np.isfinite(values).any():
            shown = marker if len(epochs) <= 25 else ""  # without a marker a single epoch is not visible
            axes.plot(epochs, values, dashes, color=colour, marker=shown, markersize=3.5, linewidth=1.7, label=label)
    if best_epoch in epochs:
        axes.axvline(best_epoch, color=INK, linewidth=0.9, linestyle=":", label=f"best: epoch {best_epoch}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlim(0, 1.03 * epochs[-1] + 0.3)
    axes.set_xlabel("epoch")
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 0.99), ncols=3, frameon=False, labelcolor=INK)
    style_axes(axes)
    return figure, axes


def style_axes(axes: Axes) -> None:
    """Give axes the page's colours, and only a left and a bottom line."""
    axes.set_facecolor("none")
    axes.tick_params(which="both", colors=INK, length=3)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    for side, spine in axes.spines.items():
        spine.set_color(INK)
        spine.set_linewidth(0.8)
        spine.set_visible(side in ("left", "bottom"))


def svg(figure: Figure, name: str, description: str) -> Markup:
    """Return a figure as an <svg> element, as markup that templates do not escape.

    Args:
        name: unique on the page; the identifiers in the drawing are made from it.
        description: for screen readers.
    """
    import matplotlib

    figure.patch.set_visible(False)
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", dpi=160, metadata={"Date": None, "Creator": None})
    drawing = buffer.getvalue()
    head, inside = re.split(r"(?<=>)", drawing[drawing.index("<svg") :], maxsplit=1)
    # A page needs no namespaces; and a style sheet or a repeated identifier would reach beyond the drawing.
    for useless in (r"<metadata>.*?</metadata>", r"<style.*?</style>", r"<!--.*?-->", r'(?<=<g) id="[\w.]+_\d+"'):
        inside = re.sub(useless, "", inside, flags=re.DOTALL)
    for stand_in, colour in PAGE_COLOURS.items():
        inside = inside.replace(stand_in, colour)
    box = re.search(r'viewBox="[^"]*"', head)
    # matplotlib has escaped every text in the drawing.
    return Markup(f'<svg {box[0] if box else ""} role="img" aria-label="{html.escape(description)}">{inside}')
