"""The page of the food chain: what both networks write, and where the one with feedback keeps what it knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from speechrnn.experiments.run import Run
from speechrnn.reports import html as markup
from speechrnn.reports.plots import FIRST, INK, SECOND, style, svg
from speechrnn.tutorials.food_chain.model import SENTENCES, STARTS, FoodChainOptions, Learnt, Words, expected
from speechrnn.tutorials.page import across, beside, paragraph, tiles, write_page
from speechrnn.tutorials.pictures import NAMES, colour_scale, heat_map, legend, line_axes


def write_food_chain(run: Run, options: FoodChainOptions, words: Words, feedback: Learnt, last_word: Learnt) -> Path:
    """Writes report.html."""
    name = NAMES[options.cell]
    sections = [
        markup.section("What they write", *_written(options.prompts, feedback, last_word)),
        markup.section(
            "After “feed on”",
            paragraph(
                "Here the sentences part. The last word is the same in all five, so a network that sees nothing else "
                "must answer the same each time: five foods, one chance in five each. The network with feedback "
                "answers by what it read before."
            ),
            beside(
                _chances(feedback, f"With feedback ({name})", "chances-feedback"),
                _chances(last_word, "The last word alone", "chances-last-word"),
            ),
        ),
        markup.section(
            "Where it keeps this",
            paragraph(
                "The numbers that each network has in mind when it has read “… feed on”, one row a sentence. Without "
                "feedback the five rows are one row: all that came before “on” is gone. With feedback they differ, "
                "although the word that was just read is the same. That difference is the memory."
            ),
            across(_thoughts(feedback, last_word)),
        ),
        markup.section(
            "How it was learnt",
            paragraph(
                "Both networks saw the five sentences at every step. One learns to expect the right food; the other "
                "reaches one in five at once and stays there, however long it is trained: what it would need is not "
                "among its inputs."
            ),
            beside(_learning(feedback, last_word)),
            markup.details(
                "Word by word: the three most probable next words", _word_by_word(words, feedback, last_word)
            ),
        ),
    ]
    subtitle = f"Who feeds on whom, learnt with feedback ({name}, {options.units} units) and without"
    return write_page(run, "The food chain", subtitle, sections, ("elman", "bengio", "hochreiter"))


def _written(prompts: Sequence[str], feedback: Learnt, last_word: Learnt) -> list[str]:
    known = sum(expected(prompt) is not None for prompt in prompts)
    rows = [(prompt, expected(prompt) or "", feedback.written[prompt], last_word.written[prompt]) for prompt in prompts]
    return [
        tiles(
            ("With feedback", f"{feedback.right()} of {known}", "sentences right"),
            ("The last word alone", f"{last_word.right()} of {known}", "sentences right"),
        ),
        paragraph(
            "Five sentences make a circle of who eats whom. Each network gets the beginning of a sentence and goes on "
            "with the word it finds most probable, then with the next, until the line ends."
        ),
        markup.table("llll", ["Beginning", "The article", "With feedback", "The last word alone"], rows),
        paragraph(
            "Without a memory, an animal's name may be the beginning of a sentence or its end, and after “on” one "
            "animal is as good as another. Then come the sentences that the article warns of, such as “Sharks.” or "
            "“Sharks feed on sharks.”, or one that never ends. Which of them it is, the first random "
            "weights decide: another seed gives other nonsense."
        ),
    ]


@style()
def _chances(learnt: Learnt, title: str, name: str) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.3))
    axes = figure.add_axes((0.25, 0.27, 0.6, 0.59))
    foods = [sentence.split(" feed on ")[1].split()[0].rstrip(".") for sentence in SENTENCES]
    mesh = heat_map(axes, learnt.chances.numpy(), [f"{start} …" for start in STARTS], foods, numbers=True)
    axes.set_xticks(range(len(foods)), foods, rotation=25, ha="right", rotation_mode="anchor")
    axes.set_title(title, fontsize=10, color=INK)
    colour_scale(figure, axes, mesh, "probability")
    return svg(figure, name, f"{title}: probability of each food after each beginning")


@style()
def _thoughts(feedback: Learnt, last_word: Learnt) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 2.6))
    for left, learnt, title in ((0.14, feedback, "With feedback"), (0.55, last_word, "The last word alone")):
        axes = figure.add_axes((left, 0.2, 0.36, 0.66))
        rows = [f"{start} …" for start in STARTS] if left < 0.5 else []
        mesh = heat_map(axes, learnt.thoughts.numpy(), rows, signed=True)
        axes.set(xlabel="units")
        axes.set_title(title, fontsize=10, color=INK)
    colour_scale(figure, axes, mesh, "value")
    return svg(figure, "thoughts", "The hidden units of both networks after each of the five beginnings")


@style()
def _learning(feedback: Learnt, last_word: Learnt) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.1))
    axes = line_axes(figure, (0.14, 0.15, 0.84, 0.73), "training steps", "probability of the right food")
    axes.plot(feedback.history, color=FIRST, label="with feedback")
    axes.plot(last_word.history, "--", color=SECOND, label="the last word alone")
    axes.set_ylim(0, 1.02)
    legend(axes)
    return svg(figure, "learning", "Probability of the right food over the steps of training, for both networks")


@torch.no_grad()
def _word_by_word(words: Words, feedback: Learnt, last_word: Learnt) -> str:
    rows = []
    for sentence in SENTENCES:
        read = [0, *words.encode(sentence)]
        column = torch.tensor(read)[:, None]
        both = [learnt.model(column)[:, 0].softmax(-1) for learnt in (feedback, last_word)]
        for place, index in enumerate(read):
            shown = "(beginning)" if index == 0 else words.tokenizer.symbols[index]
            rows.append((shown, *(_best(words, chances[place]) for chances in both)))
    return markup.table("lll", ["Word read", "With feedback", "The last word alone"], rows)


def _best(words: Words, chances: torch.Tensor) -> str:
    names = ["(end)" if index == 0 else words.tokenizer.symbols[index] for index in range(len(chances))]
    best = chances.topk(3)
    return ", ".join(f"{names[index]} {value:.0%}" for value, index in zip(*best, strict=True) if value >= 0.005)
