"""Generate a text for a small character model: animals that eat each other, and speeches about them.

It has quotation marks, lines and words, three things that a network can follow. Speeches differ from the rest (present
tense and "!" instead of past tense and "."), so that a memory of the quotation mark lowers the loss.
"""

from __future__ import annotations

import numpy as np

ANIMALS = ("sharks", "fish", "crabs", "whales", "seals", "gulls", "plants", "squid", "turtles", "shrimps")
VERBS = (("eat", "ate"), ("see", "saw"), ("hunt", "hunted"), ("fear", "feared"), ("follow", "followed"))
PEOPLE = ("the teacher", "a student", "the fisher", "the diver", "her brother")
MOST_SENTENCES = 3  # of one speech, each on a line of its own


def make_lines(characters: int, seed: int) -> list[str]:
    """Return lines with at least so many characters in all."""
    random = np.random.default_rng(seed)
    lines: list[str] = []
    while characters > 0:
        speech = bool(random.random() < 0.5)
        new = [sentence(random, speech) for _ in range(random.integers(1, MOST_SENTENCES + 1))]
        if speech:
            new[0] = f'"{new[0]}'
            new[-1] += f'" said {PEOPLE[random.integers(len(PEOPLE))]}.'
        lines += new
        characters -= sum(len(line) + 1 for line in new)
    return lines


def sentence(random: np.random.Generator, speech: bool) -> str:
    """Return a sentence: "Sharks eat fish!" in a speech, "Sharks ate fish." outside."""
    eater, eaten = (ANIMALS[index] for index in random.integers(len(ANIMALS), size=2))
    present, past = VERBS[random.integers(len(VERBS))]
    return f"{eater.capitalize()} {present if speech else past} {eaten}{'!' if speech else '.'}"
