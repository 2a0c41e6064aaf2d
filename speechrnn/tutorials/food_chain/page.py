"""Write the page of the food chain; its text stands in page.html."""

from __future__ import annotations

from pathlib import Path

import torch
from markupsafe import Markup

from speechrnn.data.corpora.grammar import FOOD_CHAIN
from speechrnn.experiments.run import Run
from speechrnn.reports.plots import FIRST, INK, SECOND, figure_style, svg
from speechrnn.tutorials.food_chain.model import STARTS, FoodChainOptions, TrainedNetwork, Words, expected
from speechrnn.tutorials.page import write_page
from speechrnn.tutorials.pictures import NAMES, colour_scale, heat_map, legend, line_axes


def write_food_chain(
    run: Run, options: FoodChainOptions, words: Words, feedback: TrainedNetwork, last_word: TrainedNetwork
) -> Path:
    """Write report.html and return its path."""
    name = NAMES[options.cell]
    return write_page(
        run,
        Path(__file__).parent,
        ("elman", "bengio", "hochreiter"),
        title="The food chain",
        subtitle=f"Who feeds on whom: a network with feedback ({name}, {options.units} units) and one without",
        feedback=feedback,
        last_word=last_word,
        known=sum(expected(prompt) is not None for prompt in options.prompts),
        completed=[
            (prompt, expected(prompt) or "", feedback.written[prompt], last_word.written[prompt])
            for prompt in options.prompts
        ],
        probabilities=[
            _probabilities(feedback, f"With feedback ({name})", "probabilities-feedback"),
            _probabilities(last_word, "Last word only", "probabilities-last-word"),
        ],
        hidden=_hidden(feedback, last_word),
        learning=_learning(feedback, last_word),
        word_by_word=_word_by_word(words, feedback, last_word),
    )


@figure_style()
def _probabilities(network: TrainedNetwork, title: str, name: str) -> Markup:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.3))
    axes = figure.add_axes((0.25, 0.27, 0.6, 0.59))
    foods = [sentence.split(" feed on ")[1].split()[0].rstrip(".") for sentence in FOOD_CHAIN]
    mesh = heat_map(
        axes, network.probabilities.numpy(), [f"{start} …" for start in STARTS], columns=foods, numbers=True
    )
    axes.set_xticks(range(len(foods)), foods, rotation=25, ha="right", rotation_mode="anchor")
    axes.set_title(title, fontsize=10, color=INK)
    colour_scale(figure, axes, mesh, label="probability")
    return svg(figure, name, f"{title}: probability of each food after each beginning")


@figure_style()
def _hidden(feedback: TrainedNetwork, last_word: TrainedNetwork) -> Markup:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 2.6))
    for left, network, title in ((0.14, feedback, "With feedback"), (0.55, last_word, "Last word only")):
        axes = figure.add_axes((left, 0.2, 0.36, 0.66))
        rows = [f"{start} …" for start in STARTS] if left < 0.5 else []
        mesh = heat_map(axes, network.hidden.numpy(), rows, signed=True)
        axes.set(xlabel="units")
        axes.set_title(title, fontsize=10, color=INK)
    colour_scale(figure, axes, mesh, label="value")
    return svg(figure, "hidden", "The hidden units of both networks after each of the five beginnings")


@figure_style()
def _learning(feedback: TrainedNetwork, last_word: TrainedNetwork) -> Markup:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.1))
    axes = line_axes(figure, (0.14, 0.15, 0.84, 0.73), "training steps", up="probability of the correct food")
    axes.plot(feedback.history, color=FIRST, label="with feedback")
    axes.plot(last_word.history, "--", color=SECOND, label="last word only")
    axes.set_ylim(0, 1.02)
    legend(axes)
    return svg(figure, "learning", "Probability of the correct food over the steps of training, for both networks")


@torch.no_grad()
def _word_by_word(words: Words, feedback: TrainedNetwork, last_word: TrainedNetwork) -> list[tuple[str, ...]]:
    """Return the three most probable next words of both networks after each word of each sentence, a row each."""
    rows: list[tuple[str, ...]] = []
    for sentence in FOOD_CHAIN:
        indices = [0, *words.encode(sentence)]
        column = torch.tensor(indices)[:, None]
        both = [network.model(column)[:, 0].softmax(-1) for network in (feedback, last_word)]
        for place, index in enumerate(indices):
            shown = "(beginning)" if index == 0 else words.tokenizer.symbols[index]
            first, second = (_best(words, probabilities[place]) for probabilities in both)
            rows.append((shown, first, second))
    return rows


def _best(words: Words, probabilities: torch.Tensor) -> str:
    names = ["(end)" if index == 0 else words.tokenizer.symbols[index] for index in range(len(probabilities))]
    best = probabilities.topk(3)
    return ", ".join(f"{names[index]} {value:.0%}" for value, index in zip(*best, strict=True) if value >= 0.005)
