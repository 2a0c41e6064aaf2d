"""The page of the gradients: how they vanish and explode, what clipping does, what only networks with gates learn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from speechrnn.experiments.run import Run
from speechrnn.reports import html as markup
from speechrnn.reports.plots import FIRST, INK, SECOND, style, svg
from speechrnn.tutorials.gradients.clipping import ClippingOptions, Descent
from speechrnn.tutorials.gradients.flow import Flow, FlowOptions
from speechrnn.tutorials.gradients.recall import Recalled, RecallOptions
from speechrnn.tutorials.page import across, beside, paragraph, power, tiles, write_page
from speechrnn.tutorials.pictures import CELLS, GREEN, NAMES, legend, line_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHADES = ("#9b6bc4", "#3b8bc2", "#2ca58d", "#e69f00")  # in this order, and readable on a light page and a dark one
LEAST, MOST = 1e-30, 1e20  # what is drawn of the relative norms
SMOOTHED = 10  # steps that a loss is averaged over in its curve


@dataclass(frozen=True)
class GradientsOptions:
    """The keys of the recipe; conf/gradients.yaml explains them."""

    units: int
    flow: FlowOptions
    clipping: ClippingOptions
    recall: RecallOptions
    seed: int


@dataclass(frozen=True)
class Measured:
    """All that the page shows.

    Attributes:
        flows: each cell at each depth and scale.
        gated: an LSTM with each forget bias.
        descents: the same network trained with clipping, without, and without at a tenth of the learning rate.
        recalled: each cell at each delay.
    """

    flows: list[Flow]
    gated: list[Flow]
    descents: Mapping[str, Descent]
    recalled: list[Recalled]

    def reach(self, cell: str) -> Flow:
        """The flow of a single layer at the scale nearest to 1."""
        mine = [flow for flow in self.flows if flow.cell == cell]
        return min(mine, key=lambda flow: (flow.depth, abs(math.log(flow.scale or 1e-9))))

    def longest(self, cell: str) -> int:
        """The longest delay that a cell has learnt; 0 where it has learnt none."""
        return max((one.delay for one in self.recalled if one.cell == cell and one.steps is not None), default=0)


def write_gradients(run: Run, options: GradientsOptions, measured: Measured) -> Path:
    """Writes report.html."""
    sections = [_flow(options, measured), _forget(measured), _clipping(options, measured), _recall(options, measured)]
    papers = ("bengio", "hochreiter", "gers", "pascanu", "cho", "saxe", "jozefowicz")
    return write_page(
        run, "Gradients through time", "Why they vanish, why they explode, and what helps", sections, papers
    )


def _flow(options: GradientsOptions, measured: Measured) -> str:
    flows = {cell: measured.reach(cell) for cell in CELLS}
    distance, scale = options.flow.distance, flows["lstm"].scale
    return markup.section(
        "How far an error reaches back",
        tiles(
            *(
                (NAMES[cell], power(flow.norms[-1]), f"of the gradient is left {distance} tokens back, scale {scale:g}")
                for cell, flow in flows.items()
            )
        ),
        paragraph(
            "A recurrent network learns to remember by blame: an error at the end is traced back, token by token, to "
            "what the network had in mind before. Here it is traced through untrained networks. The curves show how "
            "much of the gradient is left at each distance from the error; up and down go by powers of ten."
        ),
        across(_flow_picture(measured.flows)),
        paragraph(
            "“Scale” is by how much the recurrent weights stretch what they are given. In the plain RNN each step back "
            "multiplies by them and by the slope of tanh, so that the gradient shrinks geometrically, or with large "
            "weights grows without bound: it vanishes or explodes. In between lies a narrow edge, "
            "elsewhere for every depth and every input. Layers on top of each other change the rate and not the rule. "
            "A GRU and an LSTM have another way back, past the weights; yet it "
            "is only as good as their gates are, and theirs have learnt nothing yet."
        ),
    )


def _forget(measured: Measured) -> str:
    longest = max((one.delay for one in measured.recalled), default=0)
    return markup.section(
        "The way past the weights",
        paragraph(
            "In an LSTM the memory is passed on by a multiplication with the forget gate, and so is the gradient on "
            "its way back. First, one layer whose gates start more and more open (the bias of the forget gate): "
            "half open they lose nearly as much as a plain RNN, wide open next to nothing. An LSTM therefore starts "
            "with a bias of 1 or more, and learns the rest: the second picture is what came back before and "
            f"after it learnt to remember a letter over {longest} tokens."
        ),
        beside(_gates_picture(measured.gated), _learnt_picture(measured.recalled)),
    )


def _clipping(options: GradientsOptions, measured: Measured) -> str:
    return markup.section(
        "What clipping does",
        paragraph(
            f"A plain RNN with large weights (scale {options.clipping.scale:g}) learns to remember a letter over up to "
            f"{options.clipping.delay} tokens. Where the gradient explodes, one step along it throws away all that was "
            "learnt. Clipping keeps the direction of a long gradient and shortens it: the network learns at a rate at "
            "which it otherwise cannot. A smaller learning rate helps as well, but makes every step smaller, not only "
            "the dangerous ones. Clipping does nothing for gradients that vanish."
        ),
        beside(_loss_picture(measured.descents), _norm_picture(measured.descents, options.clipping.norm)),
    )


def _recall(options: GradientsOptions, measured: Measured) -> str:
    recall = options.recall
    rows = [
        (NAMES[one.cell], one.delay, f"{one.accuracy:.0%}", "not learnt" if one.steps is None else f"{one.steps:,}")
        for one in measured.recalled
    ]
    return markup.section(
        "What can be learnt",
        tiles(
            *((NAMES[cell], f"{measured.longest(cell)} tokens", "longest delay that it learnt") for cell in CELLS),
        ),
        paragraph(
            f"The task: read one of {recall.letters} letters, then noise, then say which letter it was. The only error "
            "comes at the end, so that the way back has to be found over the whole delay. Every network is trained "
            f"with up to {recall.steps:,} steps, clipped, on delays from 1 to the one shown, and tried on the longer "
            "half of them."
        ),
        beside(_accuracy_picture(measured.recalled, recall), _steps_picture(measured.recalled)),
        paragraph(
            "The plain RNN is not too small to hold a letter: it does so over short delays. Over long ones it never "
            "finds out how, as the error does not reach the place where the letter was read. The LSTM's does."
        ),
        markup.details("Every number", markup.table("lrrr", ["Cell", "Delay", "Right", "Training steps"], rows)),
    )


@style()
def _flow_picture(flows: Sequence[Flow]) -> str:
    from matplotlib.figure import Figure

    depths, scales = sorted({flow.depth for flow in flows}), sorted({flow.scale for flow in flows})
    height = 0.5 + 2.3 * len(depths) + 0.5
    figure = Figure(figsize=(10.5, height))
    for row, depth in enumerate(depths):
        for column, cell in enumerate(CELLS):
            bottom = (0.5 + 2.3 * (len(depths) - 1 - row) + 0.25) / height
            up = f"{depth} layer{'' if depth == 1 else 's'}" if column == 0 else ""
            across = "distance from the error, tokens" if row == len(depths) - 1 else ""
            axes = line_axes(figure, (0.08 + 0.31 * column, bottom, 0.29, 1.85 / height), across, up)
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


@style()
def _gates_picture(gated: Sequence[Flow]) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.1))
    axes = line_axes(figure, (0.15, 0.16, 0.83, 0.72), "distance from the error, tokens", "gradient left")
    for number, flow in enumerate(gated):
        shade = SHADES[number * (len(SHADES) - 1) // max(1, len(gated) - 1)]
        open_by = 1 / (1 + math.exp(-flow.forget_bias))
        axes.plot(_drawn(flow.norms), color=shade, label=f"bias {flow.forget_bias:g}: {open_by:.0%} open")
    _powers(axes, [flow.norms for flow in gated])
    legend(axes, columns=2)
    axes.set_position((0.15, 0.16, 0.83, 0.66))
    return svg(figure, "forget-gates", "Norm of an LSTM's gradient against the distance, for several forget biases")


@style()
def _learnt_picture(recalled: Sequence[Recalled]) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.1))
    axes = line_axes(figure, (0.15, 0.16, 0.83, 0.66), "distance from the error, tokens", "gradient left")
    longest = [one for one in recalled if one.delay == max(each.delay for each in recalled)]
    for one in longest:
        colour, _, _ = CELLS[one.cell]
        axes.plot(_drawn(one.before), ":", color=colour, label=f"{NAMES[one.cell]}, before")
        axes.plot(_drawn(one.after), "-", color=colour, label=f"{NAMES[one.cell]}, after")
    _powers(axes, [norms for one in longest for norms in (one.before, one.after)])
    legend(axes)
    return svg(figure, "learnt-flow", "Norm of the gradient against the distance, before and after training")


@style()
def _loss_picture(descents: Mapping[str, Descent]) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.1))
    axes = line_axes(figure, (0.14, 0.16, 0.84, 0.66), "training steps", "loss, nats")
    for (name, descent), colour, dashes in zip(
        descents.items(), (FIRST, SECOND, GREEN), ("-", "--", "-."), strict=True
    ):
        smooth = np.convolve(descent.losses, np.ones(SMOOTHED) / SMOOTHED, "valid")
        axes.plot(range(SMOOTHED - 1, len(descent.losses)), smooth, dashes, color=colour, label=name)
    axes.set_ylim(bottom=0)
    legend(axes, columns=2)
    return svg(figure, "clipped-loss", "Loss over the steps of training, with clipping and without")


@style()
def _norm_picture(descents: Mapping[str, Descent], limit: float) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.1))
    axes = line_axes(figure, (0.14, 0.16, 0.84, 0.66), "training steps", "norm of the gradient")
    for (name, descent), colour in zip(descents.items(), (FIRST, SECOND, GREEN), strict=True):
        axes.plot(np.maximum(descent.norms, 1e-4), ".", color=colour, markersize=2.5, label=name)
    axes.axhline(limit, color=INK, linewidth=0.9, linestyle=":", label=f"clipped above {limit:g}")
    axes.set_yscale("log")
    legend(axes, columns=2)
    return svg(figure, "clipped-norms", "Norm of the gradient over the steps of training, with clipping and without")


@style()
def _accuracy_picture(recalled: Sequence[Recalled], options: RecallOptions) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.1))
    axes = line_axes(figure, (0.14, 0.16, 0.84, 0.66), "delay, tokens", "right answers")
    for cell, (colour, marker, dashes) in CELLS.items():
        mine = [one for one in recalled if one.cell == cell]
        axes.plot(
            [one.delay for one in mine],
            [one.accuracy for one in mine],
            dashes,
            marker=marker,
            color=colour,
            label=NAMES[cell],
        )
    axes.axhline(1 / options.letters, color=INK, linewidth=0.9, linestyle=":", label="chance")
    _delays(axes, options.delays)
    axes.set_ylim(0, 1.04)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    legend(axes, columns=4)
    return svg(figure, "recall", "Share of right answers against the delay, for each cell")


@style()
def _steps_picture(recalled: Sequence[Recalled]) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.1))
    axes = line_axes(figure, (0.14, 0.16, 0.84, 0.66), "delay, tokens", "steps until learnt")
    for cell, (colour, marker, dashes) in CELLS.items():
        learnt = [(one.delay, one.steps) for one in recalled if one.cell == cell and one.steps is not None]
        axes.plot(
            [delay for delay, _ in learnt],
            [steps for _, steps in learnt],
            dashes,
            marker=marker,
            color=colour,
            label=NAMES[cell],
        )
    _delays(axes, sorted({one.delay for one in recalled}))
    axes.set_ylim(bottom=0)
    legend(axes)
    return svg(
        figure, "recall-steps", "Training steps that each cell needs, against the delay; none where it never learns"
    )


def _drawn(norms: Sequence[float]) -> np.ndarray:
    """What has left the picture above or below has no line."""
    values = np.array(norms, dtype=float)
    return np.where((values >= LEAST) & (values <= MOST), values, np.nan)


def _powers(axes: Axes, shown: Sequence[Sequence[float]]) -> None:
    """A logarithmic axis that fits all curves of a figure."""
    from matplotlib.ticker import LogLocator, NullFormatter

    values = np.concatenate([_drawn(norms) for norms in shown])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
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
