"""Write the page of the study timetable; its text stands in page.html."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from markupsafe import Markup

from speechrnn.experiments.run import Run
from speechrnn.reports.plots import FIRST, INK, SECOND, figure_style, svg
from speechrnn.tutorials.page import write_page
from speechrnn.tutorials.pictures import heat_map, legend, line_axes
from speechrnn.tutorials.study_timetable.model import SUBJECTS, TimetableOptions, TrainedNetwork, example_days

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAINT = ("#9ecae9", "#8fd3b6", "#f6c58f")  # one for each subject, light enough for dark letters
DARK = "#1b2530"
CHANCE = 1 / len(SUBJECTS)  # accuracy of guessing


def write_study_timetable(
    run: Run, options: TimetableOptions, feedback: TrainedNetwork, facts_alone: TrainedNetwork
) -> Path:
    """Write report.html and return its path."""
    missed = [sum(network.accuracy[1:]) / len(network.accuracy[1:]) for network in (feedback, facts_alone)]
    return write_page(
        run,
        Path(__file__).parent,
        ("jordan", "elman", "hochreiter"),
        title="The study timetable",
        subtitle="Math, science, English, and missed days: a network that gets its own predictions as inputs",
        options=options,
        feedback=feedback,
        facts_alone=facts_alone,
        missed_feedback=missed[0],
        missed_facts=missed[1],
        days=_days(feedback, facts_alone),
        accuracy=_accuracy(feedback, facts_alone),
        holiday=_holiday(feedback, facts_alone),
        weights=_weights(feedback),
        losses=_losses(feedback, facts_alone),
    )


@figure_style()
def _days(feedback: TrainedNetwork, facts_alone: TrainedNetwork) -> Markup:
    from matplotlib.figure import Figure

    days = example_days()
    real = days.subjects[:, 0].tolist()
    inputs = [subject if seen else None for subject, seen in zip(real, days.seen[:, 0].tolist(), strict=True)]
    lines: list[tuple[str, list[int | None]]] = [("really studied", [*real]), ("input", inputs)]
    for name, network in (("with feedback", feedback), ("facts alone", facts_alone)):
        predicted = network.model(days.inputs())[:-1, 0].argmax(1).tolist()
        lines.append((f"predicted, {name}", [None, *predicted]))
    figure = Figure(figsize=(10.5, 2.3))
    axes = figure.add_axes((0.18, 0.2, 0.81, 0.78))
    for row, (_, subjects) in enumerate(lines):
        for day, subject in enumerate(subjects):
            if subject is not None:
                _square(axes, day, row, subject=subject, wrong=subject != real[day])
            elif row == 1:
                axes.text(day, row, "?", ha="center", va="center", color=INK, fontsize=10)
    axes.set_xlim(-0.5, len(real) - 0.5)
    axes.set_ylim(len(lines) - 0.45, -0.5)
    axes.set_yticks(range(len(lines)), [name for name, _ in lines], color=INK)
    axes.set_xticks(range(len(real)), [str(day + 1) for day in range(len(real))], color=INK, fontsize=8)
    axes.set_xlabel("day", color=INK)
    axes.tick_params(length=0)
    axes.set_facecolor("none")
    for spine in axes.spines.values():
        spine.set_visible(False)
    return svg(figure, "days", "Subjects of 24 days: studied, input, and predicted by both networks, mistakes crossed")


def _square(axes: Axes, day: int, row: int, subject: int, wrong: bool) -> None:
    from matplotlib.patches import Rectangle

    corner = (day - 0.46, row - 0.42)
    axes.add_patch(Rectangle(corner, 0.92, 0.84, facecolor=PAINT[subject], edgecolor="#c0392b" if wrong else "none"))
    axes.text(day, row, SUBJECTS[subject][0].upper(), ha="center", va="center", color=DARK, fontsize=9)
    if wrong:
        axes.plot([day - 0.42, day + 0.42], [row + 0.38, row - 0.38], color="#c0392b", linewidth=1.4)
        axes.plot([day - 0.42, day + 0.42], [row - 0.38, row + 0.38], color="#c0392b", linewidth=1.4)


@figure_style()
def _accuracy(feedback: TrainedNetwork, facts_alone: TrainedNetwork) -> Markup:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.1))
    axes = line_axes(figure, (0.14, 0.16, 0.84, 0.72), "missed days in a row", up="correct predictions")
    axes.plot(feedback.accuracy, "-o", color=FIRST, label="with feedback")
    axes.plot(facts_alone.accuracy, "--s", color=SECOND, label="facts alone")
    axes.axhline(CHANCE, color=INK, linewidth=0.9, linestyle=":", label="guessing")
    axes.set_xticks(range(len(feedback.accuracy)))
    _shares(axes)
    return svg(figure, "accuracy", "Share of correct predictions by the number of missed days before")


@figure_style()
def _holiday(feedback: TrainedNetwork, facts_alone: TrainedNetwork) -> Markup:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.1))
    axes = line_axes(figure, (0.14, 0.16, 0.84, 0.72), "days of the holiday", up="correct predictions")
    axes.plot(feedback.holiday, "-", color=FIRST, label="with feedback")
    axes.plot(facts_alone.holiday, "--", color=SECOND, label="facts alone")
    axes.axhline(CHANCE, color=INK, linewidth=0.9, linestyle=":", label="guessing")
    _shares(axes)
    return svg(figure, "holiday", "Share of correct predictions on each day of one long holiday")


def _shares(axes: Axes) -> None:
    axes.set_ylim(0, 1.04)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    legend(axes)


@figure_style()
def _weights(feedback: TrainedNetwork) -> Markup:
    from matplotlib.figure import Figure

    weights = feedback.model.vote.weight.detach()
    figure = Figure(figsize=(5.4, 3.1))
    axes = figure.add_axes((0.15, 0.27, 0.83, 0.61))
    sides = [f"{subject}\n{side}" for side in ("studied", "predicted") for subject in SUBJECTS]
    limit = float(weights.abs().max())
    heat_map(axes, weights.numpy(), SUBJECTS, columns=sides, signed=True, numbers=True, limit=limit)
    axes.set(xlabel="today", ylabel="tomorrow")
    axes.axvline(len(SUBJECTS) - 0.5, color=DARK, linewidth=1.2)
    return svg(figure, "weights", "Weights from what was studied and what was predicted today to tomorrow's subjects")


@figure_style()
def _losses(feedback: TrainedNetwork, facts_alone: TrainedNetwork) -> Markup:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.1))
    axes = line_axes(figure, (0.14, 0.16, 0.84, 0.72), "training steps", up="nats per day")
    for network, colour, dashes, label in (
        (feedback, FIRST, "-", "with feedback"),
        (facts_alone, SECOND, "--", "facts alone"),
    ):
        axes.plot(torch.tensor(network.losses), dashes, color=colour, linewidth=1.2, label=label)
    axes.set_ylim(bottom=0)
    legend(axes)
    return svg(figure, "losses", "Loss over the steps of training, for both networks")
