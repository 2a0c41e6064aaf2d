"""The page of a lesson, in the house's look: one file that opens offline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from string import Template

import torch

from speechrnn import reports
from speechrnn.core.files import atomic_write
from speechrnn.experiments.run import Run
from speechrnn.reports import html as markup
from speechrnn.tutorials.papers import PAPERS
from speechrnn.version import __version__

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
TEMPLATE = Path(reports.__file__).with_name("report.html")


def write_page(run: Run, title: str, subtitle: str, sections: Sequence[str], papers: Sequence[str]) -> Path:
    """Writes the run's report.html from finished sections, what to read on (keys of PAPERS), and the configuration."""
    config = markup.details("config.yaml", f"<pre>{markup.escape(run.config.read_text(encoding='utf-8'))}</pre>")
    reading = "".join(f"<li>{markup.escape(PAPERS[paper])}</li>" for paper in papers)
    body = [
        *sections,
        markup.section("To read on", f"<ul>{reading}</ul>"),
        markup.section("Configuration", config),
    ]
    page = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=markup.escape(title),
        subtitle=markup.escape(subtitle),
        body="\n".join(part for part in body if part),
        footer=markup.escape(f"speechrnn {__version__}, torch {torch.__version__}"),
    )
    with atomic_write(run.report) as file:
        file.write(page)
    return run.report


def paragraph(text: str) -> str:
    """A paragraph for reading: no wider than the eye follows."""
    return f'<p style="max-width: 46rem">{markup.escape(text)}</p>'


def tiles(*items: tuple[str, str, str]) -> str:
    """The figures at the top: (label, value, remark) each."""
    return f'<dl class="tiles">{"".join(markup.tile(*item) for item in items)}</dl>'


def beside(*drawings: str) -> str:
    """Small pictures beside each other, where the page is wide enough."""
    return f'<div class="curves">{"".join(drawings)}</div>'


def across(drawing: str) -> str:
    """A picture as wide as the page; a narrow page scrolls it."""
    return f'<div class="picture">{drawing}</div>'


def power(value: float) -> str:
    """A number far from 1 as people write it: 4·10⁻²¹."""
    if not 0 < value < math.inf:
        return f"{value:g}"
    mantissa, exponent = f"{value:.0e}".split("e")
    return f"{mantissa}·10{str(int(exponent)).translate(SUPERSCRIPTS)}" if abs(int(exponent)) > 2 else f"{value:.2g}"
