"""Write the page of the spelling tutorial; its text stands in page.html."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from speechrnn.experiments.run import Run
from speechrnn.reports.plots import FIRST, SECOND, figure_style, svg
from speechrnn.tutorials.page import write_page
from speechrnn.tutorials.pictures import line_axes
from speechrnn.tutorials.spelling.model import SHORTEST, Checkpoint, SpellingOptions

SHOWN = 6  # samples, from the first to the last


def write_spelling(run: Run, options: SpellingOptions, checkpoints: Sequence[Checkpoint], vocabulary: int) -> Path:
    """Write report.html and return its path.

    Args:
        vocabulary: number of different words of the training text.
    """
    step = (len(checkpoints) - 1) / max(SHOWN - 1, 1)
    return write_page(
        run,
        Path(__file__).parent,
        ("elman", "hochreiter", "karpathy"),
        title="Learning to spell",
        subtitle=f"A character LSTM of {options.units} units, checked every {options.every} training steps",
        first=checkpoints[0],
        last=checkpoints[-1],
        half=next((checkpoint.step for checkpoint in checkpoints if checkpoint.accuracy >= 0.5), None),
        shortest=SHORTEST,
        vocabulary=vocabulary,
        samples=dict.fromkeys(checkpoints[round(number * step)] for number in range(SHOWN)),
        accuracy=_accuracy(checkpoints),
        loss=_loss(checkpoints),
    )


@figure_style()
def _accuracy(checkpoints: Sequence[Checkpoint]) -> Markup:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.2))
    axes = line_axes(figure, (0.13, 0.17, 0.84, 0.76), "training steps", up="correct words, %")
    axes.plot(
        [checkpoint.step for checkpoint in checkpoints],
        [100 * checkpoint.accuracy for checkpoint in checkpoints],
        color=FIRST,
        marker="o",
    )
    axes.set_ylim(0, 100)
    return svg(figure, "share", "Share of correct words, against training steps")


@figure_style()
def _loss(checkpoints: Sequence[Checkpoint]) -> Markup:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.2))
    axes = line_axes(figure, (0.13, 0.17, 0.84, 0.76), "training steps", up="nats a character")
    axes.plot(
        [checkpoint.step for checkpoint in checkpoints],
        [checkpoint.loss for checkpoint in checkpoints],
        color=SECOND,
        marker="s",
    )
    axes.set_ylim(bottom=0)
    return svg(figure, "loss", "Training loss in nats a character, against training steps")
