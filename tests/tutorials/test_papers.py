"""Tests of the papers behind the tutorials: each is linked once, and each is on a page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from speechrnn import tutorials
from speechrnn.tutorials.papers import PAPERS, Paper

FOLDER = Path(tutorials.__file__).parent


@pytest.mark.parametrize("paper", PAPERS.values(), ids=str)
def test_a_paper_has_authors_a_year_and_a_link(paper: Paper) -> None:
    assert re.search(r" (19|20)\d\d$", paper.authors)
    assert paper.link.startswith("https://") and paper.title and paper.remark.endswith(".")


def test_each_paper_is_recommended_somewhere() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*/page.py"))
    assert [name for name in PAPERS if f'"{name}"' not in pages] == []
    assert len({paper.link for paper in PAPERS.values()}) == len(PAPERS)
