"""The page of the study timetable: both networks on days that were seen and days that were missed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from speechrnn.experiments.run import Run
from speechrnn.reports import html as markup
from speechrnn.reports.plots import FIRST, INK, SECOND, style, svg
from speechrnn.tutorials.page import across, beside, paragraph, tiles, write_page
from speechrnn.tutorials.pictures import heat_map, legend, line_axes
from speechrnn.tutorials.study_timetable.model import SUBJECTS, Learnt, TimetableOptions, example

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAINT = ("#9ecae9", "#8fd3b6", "#f6c58f")  # one for each subject, light enough for dark letters
DARK = "#1b2530"
CHANCE = 1 / len(SUBJECTS)


def write_study_timetable(run: Run, options: TimetableOptions, feedback: Learnt, facts_alone: Learnt) -> Path:
    """Writes report.html."""
    missed = [sum(learnt.accuracy[1:]) / len(learnt.accuracy[1:]) for learnt in (feedback, facts_alone)]
    sections = [
        markup.section(
            "Every day and missed days",
            tiles(
                ("With feedback", f"{missed[0]:.0%}", "right after missed days"),
                ("What was really studied alone", f"{missed[1]:.0%}", "right after missed days; chance is 33 %"),
                ("With feedback", f"{feedback.accuracy[0]:.0%}", "right after days that were seen"),
                ("What was really studied alone", f"{facts_alone.accuracy[0]:.0%}", "right after days that were seen"),
            ),
            paragraph(
                "The timetable repeats math, science, English. Whoever knows what was studied yesterday knows today. "
                "But on some days nobody told. The network with feedback has two inputs: what was really studied "
                "yesterday, if anyone told, and what it had predicted for yesterday itself. The other one has the "
                "first alone."
            ),
            across(_strip(feedback, facts_alone)),
            markup.note(
                "A cross marks a prediction that was not what came. On day 13 the timetable began anew with another "
                "subject: nobody could have foreseen that, and the day after, both are right again, since what was "
                "really studied outvotes what was predicted."
            ),
        ),
        markup.section(
            "How long it lasts",
            paragraph(
                "After one missed day the network without feedback has nothing to go by, and guesses. With feedback, "
                "each prediction carries the one before it on, so that a memory of one day becomes a memory of many. "
                f"The second picture is a single holiday of {options.holiday} days about which nobody told anything."
            ),
            beside(_accuracy(feedback, facts_alone), _holiday(feedback, facts_alone)),
        ),
        markup.section(
            "The votes",
            paragraph(
                "All that was learnt are these numbers: a vote for (blue) or against (red) each subject of tomorrow, "
                "by what was studied today and by what had been predicted for today. Both halves say the same rule, "
                "each subject votes for the one that follows it and against itself. The votes are added up; a missed "
                "day casts none, so that the prediction decides."
            ),
            beside(_votes(feedback), _losses(feedback, facts_alone)),
        ),
        markup.section(
            "From here to an LSTM",
            paragraph(
                "This feedback only carries what the network said aloud. A plain recurrent network feeds back its "
                "hidden layer instead, so that it may also remember what it did not say (Elman 1990), and an LSTM adds "
                "a memory with gates that decide what is forgotten, what is added and what is said (Hochreiter & "
                "Schmidhuber 1997). “speechrnn gradients” shows why that was needed, “speechrnn gates” shows the gates "
                "at work."
            ),
        ),
    ]
    subtitle = "Math, science, English, and days that were missed: a network that hears its own predictions"
    return write_page(run, "The study timetable", subtitle, sections, ("jordan", "elman", "hochreiter"))


@style()
def _strip(feedback: Learnt, facts_alone: Learnt) -> str:
    from matplotlib.figure import Figure

    days = example()
    real = days.subjects[:, 0].tolist()
    told = [subject if seen else None for subject, seen in zip(real, days.seen[:, 0].tolist(), strict=True)]
    lines: list[tuple[str, list[int | None]]] = [("really studied", [*real]), ("told", told)]
    for name, learnt in (("with feedback", feedback), ("facts alone", facts_alone)):
        predicted = learnt.model(days.told())[:-1, 0].argmax(1).tolist()
        lines.append((f"predicted, {name}", [None, *predicted]))
    figure = Figure(figsize=(10.5, 2.3))
    axes = figure.add_axes((0.18, 0.2, 0.81, 0.78))
    for row, (_, subjects) in enumerate(lines):
        for day, subject in enumerate(subjects):
            if subject is not None:
                _square(axes, day, row, subject, wrong=subject != real[day])
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
    return svg(figure, "days", "Subjects of 24 days: studied, told, and predicted by both networks, mistakes crossed")


def _square(axes: Axes, day: int, row: int, subject: int, wrong: bool) -> None:
    from matplotlib.patches import Rectangle

    corner = (day - 0.46, row - 0.42)
    axes.add_patch(Rectangle(corner, 0.92, 0.84, facecolor=PAINT[subject], edgecolor="#c0392b" if wrong else "none"))
    axes.text(day, row, SUBJECTS[subject][0].upper(), ha="center", va="center", color=DARK, fontsize=9)
    if wrong:
        axes.plot([day - 0.42, day + 0.42], [row + 0.38, row - 0.38], color="#c0392b", linewidth=1.4)
        axes.plot([day - 0.42, day + 0.42], [row - 0.38, row + 0.38], color="#c0392b", linewidth=1.4)


@style()
def _accuracy(feedback: Learnt, facts_alone: Learnt) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.1))
    axes = line_axes(figure, (0.14, 0.16, 0.84, 0.72), "missed days in a row", "right predictions")
    axes.plot(feedback.accuracy, "-o", color=FIRST, label="with feedback")
    axes.plot(facts_alone.accuracy, "--s", color=SECOND, label="facts alone")
    axes.axhline(CHANCE, color=INK, linewidth=0.9, linestyle=":", label="chance")
    axes.set_xticks(range(len(feedback.accuracy)))
    _shares(axes)
    return svg(figure, "accuracy", "Share of right predictions by the number of missed days before")


@style()
def _holiday(feedback: Learnt, facts_alone: Learnt) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.1))
    axes = line_axes(figure, (0.14, 0.16, 0.84, 0.72), "days of the holiday", "right predictions")
    axes.plot(feedback.holiday, "-", color=FIRST, label="with feedback")
    axes.plot(facts_alone.holiday, "--", color=SECOND, label="facts alone")
    axes.axhline(CHANCE, color=INK, linewidth=0.9, linestyle=":", label="chance")
    _shares(axes)
    return svg(figure, "holiday", "Share of right predictions on each day of one long holiday")


def _shares(axes: Axes) -> None:
    axes.set_ylim(0, 1.04)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    legend(axes)


@style()
def _votes(feedback: Learnt) -> str:
    from matplotlib.figure import Figure

    votes = feedback.model.vote.weight.detach()
    figure = Figure(figsize=(5.4, 3.1))
    axes = figure.add_axes((0.15, 0.27, 0.83, 0.61))
    sides = [f"{subject}\n{side}" for side in ("studied", "predicted") for subject in SUBJECTS]
    limit = float(votes.abs().max())
    heat_map(axes, votes.numpy(), SUBJECTS, sides, signed=True, numbers=True, limit=limit)
    axes.set(xlabel="today", ylabel="tomorrow")
    axes.axvline(len(SUBJECTS) - 0.5, color=DARK, linewidth=1.2)
    return svg(figure, "votes", "Weights from what was studied and what was predicted today to tomorrow's subjects")


@style()
def _losses(feedback: Learnt, facts_alone: Learnt) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.1))
    axes = line_axes(figure, (0.14, 0.16, 0.84, 0.72), "training steps", "nats per day")
    for learnt, colour, dashes, label in (
        (feedback, FIRST, "-", "with feedback"),
        (facts_alone, SECOND, "--", "facts alone"),
    ):
        axes.plot(torch.tensor(learnt.losses), dashes, color=colour, linewidth=1.2, label=label)
    axes.set_ylim(bottom=0)
    legend(axes)
    return svg(figure, "losses", "Loss over the steps of training, for both networks")
