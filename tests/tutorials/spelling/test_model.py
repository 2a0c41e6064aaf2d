from __future__ import annotations

import random
from pathlib import Path

import pytest

from speechrnn.core.errors import UserError
from speechrnn.tutorials.setting import repeatable
from speechrnn.tutorials.spelling.model import SpellingOptions, read, study, words

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


def test_a_model_that_nobody_told_of_words_writes_them() -> None:
    with repeatable(1):
        looks = list(study(lines(), OPTIONS))
    assert [seen.step for seen in looks] == [0, 60, 120]
    assert looks[0].right < 0.05 < 0.7 < looks[-1].right
    assert looks[-1].loss < looks[0].loss / 2
    assert looks[-1].words > 50


def test_the_same_seed_gives_the_same_page() -> None:
    few = SpellingOptions(**{**vars(OPTIONS), "steps": 5, "every": 5})
    seen = []
    for _ in range(2):
        with repeatable(few.seed):
            seen.append(list(study(lines(), few)))
    assert seen[0] == seen[1]


def test_words_are_letters_in_a_row() -> None:
    assert words("Sea-plants aren't 3 of_them, ça va") == ["Sea", "plants", "aren", "them"]


def test_a_text_comes_with_python() -> None:
    assert len(words("\n".join(read(())))) > 10_000


def test_bad_texts_get_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "numbers.txt").write_text("1 2 3\n", encoding="utf-8")
    with pytest.raises(UserError, match="no word"):
        read((str(tmp_path / "numbers.txt"),))
    with pytest.raises(UserError, match=r"nothing\.txt"):
        read((str(tmp_path / "nothing.txt"),))
