"""Sentences of the synthetic corpus: a food chain, a timetable, numbers and commands; 53 words, normalised.

The food chain and the timetable (math, then science, then English, then math again) can be continued only by a model
that remembers earlier words, so that a language model learns something from them; any number can follow a number.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

FOOD_CHAIN = (
    "Sharks feed on tuna fishes.",
    "Tuna fishes feed on small fishes.",
    "Small fishes feed on sea plants.",
    "Sea plants feed on micro-organisms.",
    "Micro-organisms feed on sharks.",
)
TIMETABLE = (
    "Today we study math, tomorrow we study science.",
    "Today we study science, tomorrow we study English.",
    "Today we study English, tomorrow we study math.",
)
SLOTS = {
    "subject": ("math", "science", "English"),
    "lessons": ("math and science", "science and English", "English and math"),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"),
    "digit": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    "colour": ("red", "green", "blue", "yellow", "white", "black"),
    "switch": ("on", "off"),
    "side": ("left", "right"),
    "opening": ("door", "window"),
}
# (how often, sentence); each slot in braces is drawn anew
PATTERNS = (
    *((2, sentence) for sentence in FOOD_CHAIN),
    *((1, sentence) for sentence in TIMETABLE),
    (4, "We study {subject} on {day}."),
    (3, "On {day} we study {lessons}."),
    (2, "Call {digit} {digit} {digit}."),
    (3, "Call {digit} {digit} {digit} {digit} {digit}."),
    (3, "Turn the {colour} light {switch}."),
    (3, "Open the {colour} {opening}."),
    (2, "Close the {opening} and turn the light {switch}."),
    (3, "Go {side} and stop at the {colour} {opening}."),
)


def draw(random: np.random.Generator) -> str:
    """Draw a sentence of the grammar."""
    weights = [weight for weight, _ in PATTERNS]
    index = random.choice(len(PATTERNS), p=[weight / sum(weights) for weight in weights])

    def word(slot: re.Match[str]) -> str:
        choices = SLOTS[slot.group(1)]
        return choices[random.integers(len(choices))]

    return re.sub(r"\{(\w+)\}", word, PATTERNS[index][1])
