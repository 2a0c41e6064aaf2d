"""Tests of the page of the study timetable, drawn from given networks."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.html_page import Page
from helpers.pages import page_run

from speechrnn.tutorials.setting import repeatable
from speechrnn.tutorials.study_timetable.model import Planner, TimetableOptions, TrainedNetwork
from speechrnn.tutorials.study_timetable.page import write_study_timetable

OPTIONS = TimetableOptions(
    missed=0.3, changes=0.0, days=6, rows=4, steps=3, learning_rate=0.1, holiday=4, seed=1
)  # fmt: skip


@pytest.mark.parametrize("missed", [2, 5])
def test_the_page_shows_both_networks(tmp_path: Path, missed: int) -> None:
    networks = []
    with repeatable(1):
        for feedback in (True, False):
            planner = Planner(feedback).requires_grad_(False)
            accuracy = [1.0] + [0.9 if feedback else 0.3] * (missed - 1)
            networks.append(TrainedNetwork(planner, [1.1, 0.2], accuracy, holiday=[1.0, 0.5, 0.4, 0.3, 0.2]))
    page = Page(write_study_timetable(page_run(tmp_path), OPTIONS, *networks))
    assert len(page.all("svg")) == 5 and all(picture["aria-label"] for picture in page.all("svg"))
    assert "90" in page.text() and "30" in page.text()
    assert "Jordan 1986" in page.text() and "Recurrent Neural Networks" in page.text()
