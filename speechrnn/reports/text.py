"""Write the report of a text_prediction run: one page that opens offline. Its text stands in templates/text.html."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write
from speechrnn.core.model_names import WEIGHTS
from speechrnn.data.tokens import TokenFile
from speechrnn.evaluation.surprisal import TokenSurprisal, select_passage, surface_form, token_surprisals, visible_form
from speechrnn.nn.language import load_language
from speechrnn.reports.html import render, time_shares
from speechrnn.reports.plots import perplexity_curves
from speechrnn.reports.run_files import keeps_best_epoch
from speechrnn.reports.text_run import Sample, TextRun
from speechrnn.text.tokenizers import Tokenizer

MEASURED = 10_000  # tokens of the validation text whose surprisal is computed
PASSAGE = 1500  # characters of it that are shown
HIGHEST = 15  # tokens that are listed
BEFORE = 40  # characters of context before each of them
SHADES = (1, 2, 4, 6, 9, 12)  # bits from which a token gets the next darker shade

ROWS = {"model": "The model", "cache": "With a neural cache", "dynamic": "Under dynamic evaluation"}
SPLITS = {"train": "training", "valid": "validation", "test": "test"}
TIMES = {"data": "waiting for data", "step": "training steps", "evaluation": "evaluation on the validation text"}
CONSTANTS = ("theta", "weight", "window", "rate", "decay", "segment")  # of the adapted models


@dataclass(frozen=True)
class ShadedToken:
    """A token of the passage.

    Attributes:
        shade: from 0, expected, to len(SHADES), very improbable.
        title: what a reader sees who points at it.
        space: what follows it and has no shade.
    """

    text: str
    space: str
    shade: int
    title: str


@dataclass(frozen=True)
class Surprisal:
    """The surprisal section of the page.

    Attributes:
        missing: why there are no numbers; the other fields are then empty.
        average: bits a token.
        tokens: how many were measured.
        scale: names of the shades.
        highest: rows of the table of the least probable tokens.
    """

    split: str = ""
    missing: str = ""
    average: float = 0.0
    tokens: int = 0
    scale: Sequence[str] = ()
    passage: Sequence[ShadedToken] = ()
    highest: Sequence[tuple[str, str, str, str]] = ()


def write_text_report(folder: str | Path) -> Path:
    """Write `report.html` into the folder of a text_prediction run, from those of its results that are there.

    Returns:
        the path of the report, one file that needs no other.

    Raises:
        UserError: the folder holds no such run, a damaged file, or cannot be written.

    >>> write_text_report("outputs/text_prediction/ptb")  # doctest: +SKIP
    PosixPath('outputs/text_prediction/ptb/report.html')
    """
    folder = Path(folder)
    run = TextRun.read(folder)
    weights, history = folder / "language" / WEIGHTS, run.training.history
    page = render(
        "text.html",
        title=folder.resolve().name,
        subtitle=_subtitle(run),
        run=run,
        metrics=run.metrics,
        training=run.training,
        split=SPLITS.get(run.metrics.split, "") if run.metrics else "",
        model_megabytes=weights.stat().st_size / 1e6 if weights.is_file() else None,
        adapted=_adapted(run),
        keeps_best=keeps_best_epoch(run.config),
        curves=perplexity_curves(history, run.training.best_epoch) if history else "",
        has_validation=any("valid_perplexity" in record for record in history),
        samples=_by_temperature(run.samples),
        surprisal=_surprisal(run),
        parts=_parts(run),
        times=time_shares(run.training.seconds, TIMES),
        config=run.config,
        versions=run.versions,
    )
    path = folder / "report.html"
    with atomic_write(path) as file:
        file.write(page)
    return path


def _subtitle(run: TextRun) -> str:
    parts = {"text": run.text.text, "tokenizer": run.tokenizer}
    return ", ".join(f"{name} {value}" for name, value in parts.items() if value)


def _adapted(run: TextRun) -> list[tuple[str, str, str, str]]:
    """Return the scores of the model as it is and of its adapted variants, a row each."""
    metrics = run.metrics
    if metrics is None or metrics.perplexity is None or metrics.bits_per_character is None:
        return []
    rows = [(ROWS["model"], f"{metrics.perplexity:,.2f}", f"{metrics.bits_per_character:.4f}", "")]
    for key, scores in (("cache", metrics.cache), ("dynamic", metrics.dynamic)):
        found = {name: score for name, score in (scores or {}).items() if score is not None}
        if {"perplexity", "bits_per_character"} <= found.keys():
            constants = ", ".join(f"{constant} {found[constant]:g}" for constant in CONSTANTS if constant in found)
            rows.append((ROWS[key], f"{found['perplexity']:,.2f}", f"{found['bits_per_character']:.4f}", constants))
    return rows


def _by_temperature(samples: Sequence[Sample]) -> list[tuple[float, list[Sample]]]:
    ordered = sorted(samples, key=lambda sample: sample.temperature)
    return [(temperature, list(group)) for temperature, group in groupby(ordered, key=lambda item: item.temperature)]


def _surprisal(run: TextRun) -> Surprisal | None:
    """Measure how probable the model finds each token of the validation text, or of the test text."""
    folder = run.folder / "prepared" / "text"
    split = next((split for split in ("valid", "test") if (folder / f"{split}.tokens").is_file()), None)
    if split is None or not run.has_model:
        return None
    try:
        model, tokenizer = load_language(run.folder / "language")
        text = TokenFile.open(folder / f"{split}.tokens")
    except UserError as error:
        return Surprisal(missing=f"There are no numbers: {error}")
    if len(text.tokens) and int(text.tokens.max()) >= model.vocabulary:
        return Surprisal(missing="There are no numbers: the prepared text was made with another tokenizer.")
    found = token_surprisals(model, text, MEASURED, documents=run.reads_documents)
    if not found:
        return None
    return Surprisal(
        split=SPLITS[split],
        average=sum(token.bits for token in found) / len(found),
        tokens=len(found),
        scale=["less than 1 bit", *(f"{low} to {high}" for low, high in pairwise(SHADES)), f"{SHADES[-1]} and more"],
        passage=[_shaded(tokenizer, token) for token in found[select_passage(found, tokenizer, PASSAGE)]],
        highest=_highest(tokenizer, found),
    )


def _shaded(tokenizer: Tokenizer, token: TokenSurprisal) -> ShadedToken:
    text = surface_form(tokenizer, token.token)
    # The space after a word has no shade.
    shown, space = (text[:-1], " ") if len(text) > 1 and text.endswith(" ") else (text.replace("\n", "↵\n"), "")
    title = f"{token.bits:.1f} bits, {_probability(token.logprob)}. Expected: {_expected(tokenizer, token)}"
    return ShadedToken(shown, space, bisect.bisect_right(SHADES, token.bits), title=title)


def _expected(tokenizer: Tokenizer, token: TokenSurprisal) -> str:
    return " · ".join(
        f"{visible_form(tokenizer, expected)} {100 * probability:.1f}\u00a0%"
        for expected, probability in token.expected
    )


def _probability(logprob: float) -> str:
    if logprob > math.log(0.001):
        return f"{100 * math.exp(logprob):.1f}\u00a0%"
    odds = math.exp(min(-logprob, 700))
    return f"1 in {odds:,.0f}" if odds < 1e9 else f"1 in {odds:.1e}"


def _highest(tokenizer: Tokenizer, found: Sequence[TokenSurprisal]) -> list[tuple[str, str, str, str]]:
    """Return the least probable tokens, a row each."""
    rows = []
    for place in sorted(range(len(found)), key=lambda place: (found[place].logprob, place))[:HIGHEST]:
        token = found[place]
        before = "".join(
            surface_form(tokenizer, earlier.token) for earlier in found[max(0, place - BEFORE - 1) : place]
        )
        context = f"…{before[-BEFORE:]}" if len(before) > BEFORE else before
        rows.append(
            (
                visible_form(tokenizer, token.token),
                f"{token.bits:.1f}",
                context.replace("\n", "↵"),
                _expected(tokenizer, token),
            )
        )
    return rows


def _parts(run: TextRun) -> list[tuple[object, ...]]:
    """Return the sizes of the parts of the text, a row each."""
    return [
        (
            split,
            *("" if size is None else size for size in (part.lines, part.documents)),
            part.tokens,
            "" if part.characters is None else part.characters,
            part.unknown,
            f"{part.unknown / max(part.tokens, 1):.2%}",
        )
        for split, part in run.text.splits.items()
    ]
