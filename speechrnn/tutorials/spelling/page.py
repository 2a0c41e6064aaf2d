"""The page of the spelling lesson: how many of its words are words, and what it wrote at each stage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from speechrnn.experiments.run import Run
from speechrnn.reports import html as markup
from speechrnn.reports.plots import FIRST, SECOND, style, svg
from speechrnn.tutorials.page import beside, paragraph, tiles, write_page
from speechrnn.tutorials.pictures import line_axes
from speechrnn.tutorials.spelling.model import SHORTEST, Look, SpellingOptions

SHOWN = 6  # samples, from the first to the last


def write_spelling(run: Run, options: SpellingOptions, looks: Sequence[Look], vocabulary: int) -> Path:
    """Writes report.html; `vocabulary` is the number of different words of the training text."""
    last = looks[-1]
    half = next((seen.step for seen in looks if seen.right >= 0.5), None)
    rest = (len(looks) - 1) / max(SHOWN - 1, 1)
    chosen = dict.fromkeys(looks[round(number * rest)] for number in range(SHOWN))
    samples = "".join(
        f"<h3>After {seen.step:,} steps: {seen.right:.0%}</h3><pre>{markup.escape(seen.sample)}</pre>"
        for seen in chosen
    )
    sections = [
        markup.section(
            "Summary",
            tiles(
                ("Words that are words", f"{last.right:.1%}", f"after {last.step:,} steps, of {last.words:,} written"),
                ("At the start", f"{looks[0].right:.1%}", "with random weights"),
                ("Half of them", "-" if half is None else f"{half:,}", "steps"),
                ("Different words in the text", f"{vocabulary:,}", f"of at least {SHORTEST} letters"),
            ),
        ),
        markup.section(
            "Learning to spell",
            paragraph(
                "The network reads and writes single characters. Nobody tells it that there are words: it only learns "
                "which character comes next. To do that well in the middle of a word it must remember how the word "
                "began, and so it learns, step by step, which letters are frequent, which stand together, what short "
                "words there are, and at last long ones."
            ),
            paragraph(
                f"Left: of all that it wrote, the share of words (of at least {SHORTEST} letters) that stand in the "
                "training text. Right: the loss, which falls much more evenly: that a word is right to its last letter "
                "is a matter of many small gains."
            ),
            beside(_share(looks), _loss(looks)),
        ),
        markup.section("What it wrote", paragraph("The same luck at each stage: only the network differs."), samples),
    ]
    subtitle = f"A character LSTM of {options.units} units, looked at every {options.every} steps"
    return write_page(run, "Learning to spell", subtitle, sections, ("elman", "hochreiter", "karpathy"))


@style()
def _share(looks: Sequence[Look]) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.2))
    axes = line_axes(figure, (0.13, 0.17, 0.84, 0.76), "training steps", "words that are words, %")
    axes.plot([seen.step for seen in looks], [100 * seen.right for seen in looks], color=FIRST, marker="o")
    axes.set_ylim(0, 100)
    return svg(figure, "share", "Share of the written words that are words, against training steps")


@style()
def _loss(looks: Sequence[Look]) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.2))
    axes = line_axes(figure, (0.13, 0.17, 0.84, 0.76), "training steps", "nats a character")
    axes.plot([seen.step for seen in looks], [seen.loss for seen in looks], color=SECOND, marker="s")
    axes.set_ylim(bottom=0)
    return svg(figure, "loss", "Training loss in nats a character, against training steps")
