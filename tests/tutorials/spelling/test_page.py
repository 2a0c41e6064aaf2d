"""Tests of the page of the spelling tutorial, drawn from given checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.html_page import Page
from helpers.pages import page_run

from speechrnn.tutorials.spelling.model import Checkpoint, SpellingOptions
from speechrnn.tutorials.spelling.page import SHOWN, write_spelling

OPTIONS = SpellingOptions(
    ("books/*.txt",),
    units=16,
    steps=400,
    batch_size=4,
    bptt=20,
    learning_rate=0.01,
    every=10,
    rows=2,
    characters=80,
    temperature=1.0,
    seed=1,
)


def checkpoints(count: int) -> list[Checkpoint]:
    return [
        Checkpoint(10 * n, 3.0 / (n + 1), 50, accuracy=n / max(count - 1, 1), sample=f"sample {n} &")
        for n in range(count)
    ]


@pytest.mark.parametrize("count", [1, 2, 6, 40])
def test_samples_are_shown_from_the_first_to_the_last(tmp_path: Path, count: int) -> None:
    page = Page(write_spelling(page_run(tmp_path), OPTIONS, checkpoints(count), vocabulary=7))
    shown = [number for number in range(count) if f"sample {number} &" in page.text().splitlines()]
    assert shown[0] == 0 and shown[-1] == count - 1 and len(shown) == min(SHOWN, count)
    assert len(page.all("svg")) == 2


def test_long_lines_wrap(tmp_path: Path) -> None:
    page = Page(
        write_spelling(
            page_run(tmp_path), OPTIONS, [Checkpoint(0, 3.0, 1, accuracy=0.5, sample="x" * 500)], vocabulary=7
        )
    )
    assert "overflow-wrap" in page.source and "x" * 500 in page.text()
