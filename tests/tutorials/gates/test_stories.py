"""The text of the gates tutorial."""

from __future__ import annotations

import re

import numpy as np

from speechrnn.tutorials.gates.stories import MOST_SENTENCES, make_lines, sentence


def test_the_text_is_as_long_as_asked_and_a_function_of_the_seed() -> None:
    lines = make_lines(2000, seed=3)
    assert sum(len(line) + 1 for line in lines) >= 2000
    assert lines == make_lines(2000, seed=3) != make_lines(2000, seed=4)
    assert make_lines(0, seed=3) == []


def test_quotations_close_within_their_longest_length() -> None:
    open_for = 0
    for line in make_lines(20_000, seed=0):
        marks = line.count('"')
        assert marks <= 2
        open_for = open_for + 1 if open_for or marks else 0
        assert open_for <= MOST_SENTENCES
        if open_for and (marks == 2 or (marks == 1 and not line.startswith('"'))):
            assert re.search(r'!" said [a-z ]+\.$', line)
            open_for = 0
    assert open_for == 0


def test_speeches_are_in_the_present_and_the_rest_in_the_past() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        assert re.fullmatch(r"[A-Z][a-z]+ (eat|see|hunt|fear|follow) [a-z]+!", sentence(random, speech=True))
        assert re.fullmatch(r"[A-Z][a-z]+ (ate|saw|hunted|feared|followed) [a-z]+\.", sentence(random, speech=False))
