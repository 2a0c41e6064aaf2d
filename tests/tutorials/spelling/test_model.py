"""Test the claim of the spelling tutorial: a character model learns to write words."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from speechrnn.core.errors import UserError
from speechrnn.tutorials.setting import repeatable
from speechrnn.tutorials.spelling.model import SpellingOptions, read_text, train, words

OPTIONS = SpellingOptions(
    files=(),
    units=48,
    steps=120,
    batch_size=16,
    bptt=20,
    learning_rate=0.01,
    every=60,
    rows=8,
    characters=100,
    temperature=0.8,
    seed=1,
)
ANIMALS = ["sharks", "tuna", "fishes", "small", "sea", "plants"]


def lines() -> list[str]:
    draw = random.Random(0)
    return [" ".join(draw.choices(ANIMALS, k=6)) for _ in range(300)]


def test_a_character_model_learns_words() -> None:
    with repeatable(1):
        checkpoints = list(train(lines(), OPTIONS))
    assert [checkpoint.step for checkpoint in checkpoints] == [0, 60, 120]
    assert checkpoints[0].accuracy < 0.05 < 0.7 < checkpoints[-1].accuracy
    assert checkpoints[-1].loss < checkpoints[0].loss / 2
    assert checkpoints[-1].words > 50


def test_the_same_seed_gives_the_same_page() -> None:
    few = SpellingOptions(**{**vars(OPTIONS), "steps": 5, "every": 5})
    checkpoint = []
    for _ in range(2):
        with repeatable(few.seed):
            checkpoint.append(list(train(lines(), few)))
    assert checkpoint[0] == checkpoint[1]


def test_words_are_letters_in_a_row() -> None:
    assert words("Sea-plants aren't 3 of_them, ça va") == ["Sea", "plants", "aren", "them"]


def test_a_text_comes_with_python() -> None:
    assert len(words("\n".join(read_text(())))) > 10_000


def test_bad_texts_get_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "numbers.txt").write_text("1 2 3\n", encoding="utf-8")
    with pytest.raises(UserError, match="no word"):
        read_text((str(tmp_path / "numbers.txt"),))
    with pytest.raises(UserError, match=r"nothing\.txt"):
        read_text((str(tmp_path / "nothing.txt"),))
