"""A text without end for a small character model: who ate whom, and what people say about it.

What has quotation marks, lines and words gives a network three things to keep track of. Speech differs from the rest
throughout (the present and "!" instead of the past and "."), so that it pays to remember a quotation mark for long.
"""

from __future__ import annotations

import numpy as np

ANIMALS = ("sharks", "fish", "crabs", "whales", "seals", "gulls", "plants", "squid", "turtles", "shrimps")
VERBS = (("eat", "ate"), ("see", "saw"), ("hunt", "hunted"), ("fear", "feared"), ("follow", "followed"))
PEOPLE = ("the teacher", "a student", "the fisher", "the diver", "her brother")
MOST_SENTENCES = 3  # of one speech, each on a line of its own


def tell(characters: int, seed: int) -> list[str]:
    """Lines with at least so many characters in all."""
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
    """ "Sharks eat fish!" in a speech, "Sharks ate fish." outside."""
    eater, eaten = (ANIMALS[index] for index in random.integers(len(ANIMALS), size=2))
    present, past = VERBS[random.integers(len(VERBS))]
    return f"{eater.capitalize()} {present if speech else past} {eaten}{'!' if speech else '.'}"
