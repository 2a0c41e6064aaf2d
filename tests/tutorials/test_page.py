"""Tests of the pages of the tutorials: each stands alone, with its papers, its configuration and its versions."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from helpers.html_page import Page
from helpers.pages import page_run

from speechrnn.tutorials.page import scientific, write_page
from speechrnn.tutorials.papers import PAPERS

TEMPLATE = '{% extends "tutorial.html" %}{% block lesson %}<p>{{ words }}</p>{% endblock %}'


def test_a_page_has_its_papers_and_its_configuration(tmp_path: Path) -> None:
    folder = tmp_path / "template"
    folder.mkdir()
    (folder / "page.html").write_text(TEMPLATE)
    page = Page(write_page(page_run(tmp_path), folder, ("elman",), title="A title", subtitle="<i>", words="<script>"))
    assert PAPERS["elman"].link in [link["href"] for link in page.all("a")]
    assert "name: <b>" in page.text() and not page.all("script")


@pytest.mark.parametrize(
    ("value", "text"),
    [(3.7e-21, "4·10⁻²¹"), (2.5e7, "2·10⁷"), (0.5, "0.5"), (12.34, "12"), (0.0, "0"), (math.inf, "inf"), (-1.0, "-1")],
)
def test_numbers_far_from_1_have_a_power_of_ten(value: float, text: str) -> None:
    assert scientific(value) == text


def test_a_number_that_is_none_stays_one() -> None:
    assert scientific(math.nan) == "nan"
