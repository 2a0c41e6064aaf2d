"""Write the page of a tutorial. Its text stands in page.html of the tutorial's folder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch

from speechrnn.core.files import atomic_write
from speechrnn.experiments.run import Run
from speechrnn.reports.html import render
from speechrnn.tutorials.papers import PAPERS
from speechrnn.version import __version__

TEMPLATES = Path(__file__).with_name("templates")
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def write_page(run: Run, folder: Path, papers: Sequence[str], **values: object) -> Path:
    """Write the run's report.html from the template page.html.

    Args:
        folder: of the template.
        papers: for further reading, keys of `PAPERS`.
        values: variables of the template, "title" and "subtitle" among them.

    Returns:
        the path of the page.
    """
    page = render(
        "page.html",
        (folder, TEMPLATES),
        papers=[PAPERS[paper] for paper in papers],
        config=run.config.read_text(encoding="utf-8"),
        versions={"speechrnn": __version__, "torch": torch.__version__},
        **values,
    )
    with atomic_write(run.report) as file:
        file.write(page)
    return run.report


def scientific(value: float) -> str:
    """Return a number with one or two digits, far from 1 with a power of ten.

    >>> scientific(3.7e-21)
    '4·10⁻²¹'
    """
    if not 0 < value < math.inf:
        return f"{value:g}"
    mantissa, exponent = f"{value:.0e}".split("e")
    return f"{mantissa}·10{str(int(exponent)).translate(SUPERSCRIPTS)}" if abs(int(exponent)) > 2 else f"{value:.2g}"
