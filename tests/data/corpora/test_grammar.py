"""The grammar of the synthetic sentences."""

from __future__ import annotations

import numpy as np

from speechrnn.data.corpora import grammar


def test_the_grammar_says_all_its_words_and_no_others() -> None:
    random = np.random.default_rng(0)
    drawn = [grammar.draw(random) for _ in range(2000)]
    assert set(grammar.FOOD_CHAIN) | set(grammar.TIMETABLE) < set(drawn)
    words = {word.strip(".,").lower() for sentence in drawn for word in sentence.split()}
    assert len(words) == 52
    assert {"micro-organisms", "wednesday", "zero", "yellow", "window", "tomorrow"} < words
    assert not any("{" in sentence for sentence in drawn)
