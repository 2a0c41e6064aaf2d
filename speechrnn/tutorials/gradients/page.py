"""Write the page of the gradients; its text stands in page.html."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from speechrnn.experiments.run import Run
from speechrnn.reports.plots import FIRST, INK, SECOND, figure_style, svg
from speechrnn.tutorials.gradients.clipping import ClippingOptions, Descent
from speechrnn.tutorials.gradients.flow import Flow, FlowOptions
from speechrnn.tutorials.gradients.recall import RecallOptions, RecallResult
from speechrnn.tutorials.page import scientific, write_page
from speechrnn.tutorials.pictures import CELLS, GREEN, NAMES, legend, line_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHADES = ("#9b6bc4", "#3b8bc2", "#2ca58d", "#e69f00")  # in this order, and readable on a light page and a dark one
LEAST, MOST = 1e-30, 1e20  # what is drawn of the relative norms
SMOOTHED = 10  # steps that a loss is averaged over in its curve


@dataclass(frozen=True)
class GradientsOptions:
    """The keys of the recipe; conf/tutorials/gradients.yaml explains them."""

    units: int
    flow: FlowOptions
    clipping: ClippingOptions
    recall: RecallOptions
    seed: int


@dataclass(frozen=True)
class GradientResults:
    """The results that the page shows.

    Attributes:
        flows: each cell at each depth and scale.
        gated: an LSTM with each forget bias.
        descents: the same network trained with clipping, without, and without at a tenth of the learning rate.
        recalled: each cell at each delay.
    """

    flows: list[Flow]
    gated: list[Flow]
    descents: Mapping[str, Descent]
    recalled: list[RecallResult]

    def reach(self, cell: str) -> Flow:
        """Return the flow of a cell with the fewest layers at the scale nearest to 1."""
        own = [flow for flow in self.flows if flow.cell == cell]
        return min(own, key=lambda flow: (flow.depth, abs(math.log(flow.scale or 1e-9))))

    def longest(self, cell: str) -> int:
        """Return the longest delay that a cell has learned; 0 where it has learned none."""
        return max((item.delay for item in self.recalled if item.cell == cell and item.steps is not None), default=0)

    def trained(self, cell: str) -> RecallResult:
        """Return the recall of a cell at the longest delay that was tried."""
        return max((item for item in self.recalled if item.cell == cell), key=lambda item: item.delay)


def write_gradients(run: Run, options: GradientsOptions, results: GradientResults) -> Path:
    """Write report.html and return its path."""
    longest = max(options.recall.delays)
    return write_page(
        run,
        Path(__file__).parent,
        ("bengio", "hochreiter", "gers", "pascanu", "cho", "saxe", "jozefowicz"),
        title="Gradients through time",
        subtitle="Why gradients vanish, why they explode, and what helps",
        options=options,
        longest=longest,
        summary=[
            (
                NAMES[cell],
                results.longest(cell),
                results.trained(cell).accuracy,
                scientific(results.trained(cell).after[-1]),
            )
            for cell in CELLS
        ],
        untrained=[
            (NAMES[cell], scientific(results.reach(cell).norms[-1]), f"{results.reach(cell).scale:g}") for cell in CELLS
        ],
        flow=_flow_picture(results.flows),
        forget_gates=_gates_picture(results.gated),
        trained=_trained_picture(results.recalled),
        clipped_losses=_loss_picture(results.descents),
        clipped_norms=_norm_picture(results.descents, options.clipping.norm),
        accuracy=_accuracy_picture(results.recalled, options.recall),
        steps=_steps_picture(results.recalled),
        numbers=[
            (
                NAMES[item.cell],
                item.delay,
                f"{item.accuracy:.0%}",
                "not learned" if item.steps is None else f"{item.steps:,}",
            )
            for item in results.recalled
        ],
    )


@figure_style()
def _flow_picture(flows: Sequence[Flow]) -> Markup:
    from matplotlib.figure import Figure

    depths, scales = sorted({flow.depth for flow in flows}), sorted({flow.scale for flow in flows})
    height = 0.5 + 2.3 * len(depths) + 0.5
    figure = Figure(figsize=(10.5, height))
    for row, depth in enumerate(depths):
        for column, cell in enumerate(CELLS):
            bottom = (0.5 + 2.3 * (len(depths) - 1 - row) + 0.25) / height
            up = f"{depth} layer{'' if depth == 1 else 's'}" if column == 0 else ""
            across = "distance from the error, tokens" if row == len(depths) - 1 else ""
            axes = line_axes(figure, (0.08 + 0.31 * column, bottom, 0.29, 1.85 / height), across, up=up)
            for number, scale in enumerate(scales):
                (flow,) = (f for f in flows if (f.cell, f.depth, f.scale) == (cell, depth, scale))
                shade = SHADES[number * (len(SHADES) - 1) // max(1, len(scales) - 1)]
                axes.plot(_drawn(flow.norms), color=shade, linewidth=1.6, label=f"scale {scale:g}")
            _powers(axes, [flow.norms for flow in flows])
            axes.tick_params(labelleft=column == 0)
            axes.set_title(NAMES[cell] if row == 0 else "", fontsize=10, color=INK)
            if row == 0 and column == 0:
                handles = axes.get_legend_handles_labels()
    figure.legend(*handles, loc="upper right", ncols=len(scales), frameon=False, labelcolor=INK, fontsize=9)
    return svg(figure, "flow", "Norm of the gradient against the distance from the error, by cell, depth and scale")


@figure_style()
def _gates_picture(gated: Sequence[Flow]) -> Markup:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.1))
    axes = line_axes(figure, (0.15, 0.16, 0.83, 0.72), "distance from the error, tokens", up="gradient left")
    for number, flow in enumerate(gated):
        shade = SHADES[number * (len(SHADES) - 1) // max(1, len(gated) - 1)]
        open_by = 1 / (1 + math.exp(-flow.forget_bias))
        axes.plot(_drawn(flow.norms), color=shade, label=f"bias {flow.forget_bias:g}: {open_by:.0%} open")
    _powers(axes, [flow.norms for flow in gated])
    legend(axes, columns=2)
    axes.set_position((0.15, 0.16, 0.83, 0.66))
    return svg(figure, "forget-gates", "Norm of an LSTM's gradient against the distance, for several forget biases")


@figure_style()
def _trained_picture(recalled: Sequence[RecallResult]) -> Markup:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.1))
    axes = line_axes(figure, (0.15, 0.16, 0.83, 0.66), "distance from the error, tokens", up="gradient left")
    longest = [item for item in recalled if item.delay == max(each.delay for each in recalled)]
    for item in longest:
        colour, _, _ = CELLS[item.cell]
        axes.plot(_drawn(item.before), ":", color=colour, label=f"{NAMES[item.cell]}, before")
        axes.plot(_drawn(item.after), "-", color=colour, label=f"{NAMES[item.cell]}, after")
    _powers(axes, [norms for item in longest for norms in (item.before, item.after)])
    legend(axes)
    return svg(figure, "trained-flow", "Norm of the gradient against the distance, before and after training")


@figure_style()
def _loss_picture(descents: Mapping[str, Descent]) -> Markup:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.1))
    axes = line_axes(figure, (0.14, 0.16, 0.84, 0.66), "training steps", up="loss, nats")
    for (name, descent), colour, dashes in zip(
        descents.items(), (FIRST, SECOND, GREEN), ("-", "--", "-."), strict=True
    ):
        width = min(SMOOTHED, (len(descent.losses) + 1) // 2)  # of a short training, too, more than a point is left
        smooth = np.convolve(descent.losses, np.ones(width) / width, "valid")
        axes.plot(range(width - 1, len(descent.losses)), smooth, dashes, color=colour, label=name)
    axes.set_ylim(bottom=0)
    legend(axes, columns=2)
    return svg(figure, "clipped-loss", "Loss over the steps of training, with clipping and without")


@figure_style()
def _norm_picture(descents: Mapping[str, Descent], limit: float) -> Markup:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.1))
    axes = line_axes(figure, (0.14, 0.16, 0.84, 0.66), "training steps", up="norm of the gradient")
    for (name, descent), colour in zip(descents.items(), (FIRST, SECOND, GREEN), strict=True):
        axes.plot(np.maximum(descent.norms, 1e-4), ".", color=colour, markersize=2.5, label=name)
    axes.axhline(limit, color=INK, linewidth=0.9, linestyle=":", label=f"clipped above {limit:g}")
    axes.set_yscale("log")
    legend(axes, columns=2)
    return svg(figure, "clipped-norms", "Norm of the gradient over the steps of training, with clipping and without")


@figure_style()
def _accuracy_picture(recalled: Sequence[RecallResult], options: RecallOptions) -> Markup:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.1))
    axes = line_axes(figure, (0.14, 0.16, 0.84, 0.66), "delay, tokens", up="correct answers")
    for cell, (colour, marker, dashes) in CELLS.items():
        own = [item for item in recalled if item.cell == cell]
        axes.plot(
            [item.delay for item in own],
            [item.accuracy for item in own],
            dashes,
            marker=marker,
            color=colour,
            label=NAMES[cell],
        )
    axes.axhline(1 / options.letters, color=INK, linewidth=0.9, linestyle=":", label="guessing")
    _delays(axes, options.delays)
    axes.set_ylim(0, 1.04)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    legend(axes, columns=4)
    return svg(figure, "recall", "Share of correct answers against the delay, for each cell")


@figure_style()
def _steps_picture(recalled: Sequence[RecallResult]) -> Markup:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.1))
    axes = line_axes(figure, (0.14, 0.16, 0.84, 0.66), "delay, tokens", up="steps until learned")
    for cell, (colour, marker, dashes) in CELLS.items():
        learned = [(item.delay, item.steps) for item in recalled if item.cell == cell and item.steps is not None]
        axes.plot(
            [delay for delay, _ in learned],
            [steps for _, steps in learned],
            dashes,
            marker=marker,
            color=colour,
            label=NAMES[cell],
        )
    _delays(axes, sorted({item.delay for item in recalled}))
    axes.set_ylim(bottom=0)
    legend(axes)
    return svg(
        figure, "recall-steps", "Training steps that each cell needs, against the delay; none where it never learns"
    )


def _drawn(norms: Sequence[float]) -> np.ndarray:
    """Return the norms with nan for those outside the picture."""
    values = np.array(norms, dtype=float)
    return np.where((values >= LEAST) & (values <= MOST), values, np.nan)


def _powers(axes: Axes, shown: Sequence[Sequence[float]]) -> None:
    """Set a logarithmic axis that fits all curves of a figure."""
    from matplotlib.ticker import LogLocator, NullFormatter

    values = np.concatenate([_drawn(norms) for norms in shown])
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (1.0, 1.0)
    axes.set_yscale("log")
    axes.set_ylim(low / 3, max(high, 1) * 3)
    axes.yaxis.set_major_locator(LogLocator(numticks=7))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.axhline(1, color=INK, linewidth=0.9, linestyle=":")


def _delays(axes: Axes, delays: Sequence[int]) -> None:
    from matplotlib.ticker import NullFormatter, NullLocator

    axes.set_xscale("log")
    axes.set_xticks(list(delays), [str(delay) for delay in delays])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
