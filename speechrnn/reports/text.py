"""A run of text prediction as one page that opens offline: how good, how it got there, what it writes and expects."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write
from speechrnn.data.tokens import TokenFile
from speechrnn.evaluation.surprisal import TokenSurprisal, select_passage, surface_form, token_surprisals, visible_form
from speechrnn.nn.checkpoint import WEIGHTS
from speechrnn.nn.language import load_language
from speechrnn.reports import html as markup
from speechrnn.reports.html import escape, length, note, number, section, table
from speechrnn.reports.results import TextResults
from speechrnn.text.tokenizers import Tokenizer

READ = 10_000  # tokens of the validation text that are searched for surprises
SHOWN = 1500  # characters of it that are shown
SURPRISES = 15  # that are listed
BEFORE = 40  # characters before each of them
SHADES = (1, 2, 4, 6, 9, 12)  # bits from which a token gets the next darker shade

ROWS = {"model": "The model", "cache": "With a neural cache", "dynamic": "Under dynamic evaluation"}
SPLITS = {"train": "training", "valid": "validation", "test": "test"}
SPENT = {"data": "waiting for data", "step": "training steps", "evaluation": "evaluation on the validation text"}


def write_text_report(folder: str | Path) -> Path:
    """Writes `report.html` into the folder of a text prediction run, from whatever of it is there.

    Returns:
        the path of the report, one file that needs no other.

    Raises:
        UserError: the folder holds no such run, a damaged file, or cannot be written.
    """
    folder = Path(folder)
    run = TextResults.read(folder)
    parts = [_summary, _learning, _samples, _surprises, _text, _time]
    body = "\n".join(part for part in (*(make(run) for make in parts), markup.configuration(run.config)) if part)
    path = folder / "report.html"
    with atomic_write(path) as file:
        file.write(markup.page(folder.resolve().name, _subtitle(run), body, run.model.get("versions") or {}))
    return path


def _subtitle(run: TextResults) -> str:
    parts = [f"text {run.text['text']}"] if run.text.get("text") else []
    kind = (run.model.get("tokenizer") or {}).get("kind")
    return ", ".join([*parts, *([f"tokenizer {kind}"] if kind else [])])


def _summary(run: TextResults) -> str:
    figures, training, tiles = run.figures, run.training, []
    split = SPLITS.get(figures.get("split", ""), "")
    if figures.get("perplexity") is not None:
        of = f"{split} text, {figures['nats_per_token']:.3f} nats a token" if split else ""
        tiles.append(markup.tile("Perplexity", f"{figures['perplexity']:,.2f}", of))
    if figures.get("bits_per_character") is not None:
        amount = number(figures["characters"], "character") if "characters" in figures else ""
        tiles.append(markup.tile("Bits per character", f"{figures['bits_per_character']:.3f}", amount))
    weights = run.folder / "language" / WEIGHTS
    if training.get("parameters"):
        size = f"{weights.stat().st_size / 1e6:.1f} MB" if weights.is_file() else ""
        tiles.append(markup.tile("Parameters", f"{training['parameters'] / 1e6:.2f} M", size))
    if training.get("seconds"):
        epochs = number(training.get("epochs", 0), "epoch")
        tiles.append(markup.tile("Training", length(sum(training["seconds"].values())), epochs))
    if training.get("tokens_per_second"):
        tiles.append(markup.tile("Speed of training", f"{training['tokens_per_second']:,.0f}", "tokens a second"))
    rows = [(title, figures if key == "model" else figures.get(key)) for key, title in ROWS.items()]
    lines = [
        (title, f"{row['perplexity']:,.2f}", f"{row['bits_per_character']:.4f}", _constants(row))
        for title, row in rows
        if row and row.get("perplexity") is not None
    ]
    header = ["", "Perplexity", "Bits per character", "Constants"]
    compared = table("lrrl", header, lines) if len(lines) > 1 else ""
    way = "each document from the start state" if _documents(run) else "as one, from its beginning to its end"
    convention = f"Line ends are tokens and characters like any other; the text is read {way}."
    return section("Summary", f'<dl class="tiles">{"".join(tiles)}</dl>', compared, note(convention) if lines else "")


def _documents(run: TextResults) -> bool:
    return bool((run.text.get("options") or {}).get("documents"))


def _constants(row: dict[str, Any]) -> str:
    names = ("theta", "weight", "window", "rate", "decay", "segment")
    return ", ".join(f"{key} {row[key]:g}" for key in names if key in row)


def _learning(run: TextResults) -> str:
    from speechrnn.reports.plots import perplexity_curves

    history = run.training.get("history") or []
    if not history:
        return ""
    curves = perplexity_curves(history, run.training.get("best_epoch", -1))
    remark = "Train is measured during training, with dropout and while the weights move; valid after each epoch."
    if all("valid_perplexity" not in record for record in history):
        remark = "There is no validation text."
    return section("Learning", f'<div class="curves">{curves}</div>', note(remark))


def _samples(run: TextResults) -> str:
    ordered = sorted(run.samples, key=lambda sample: float(sample.get("temperature", 1.0)))
    parts = []
    for temperature, samples in groupby(ordered, key=lambda sample: float(sample.get("temperature", 1.0))):
        parts.append(f"<h3>Temperature {temperature:g}</h3>")
        for sample in samples:
            texts = f"<b>{escape(sample['prompt'])}</b>{escape(sample['text'])}"
            parts.append(f'<div class="written" dir="auto">{texts}</div>')
    legend = note("The prompt is bold; the lower the temperature, the more the model keeps to what is probable.")
    return section("What it writes", legend, *parts) if parts else ""


def _surprises(run: TextResults) -> str:
    split, path = next(
        (
            (split, path)
            for split in ("valid", "test")
            if (path := run.folder / "prepared" / "text" / f"{split}.tokens").is_file()
        ),
        ("", run.folder),
    )
    if not split or not run.model:
        return ""
    try:
        model, tokenizer = load_language(run.folder / "language")
        text = TokenFile.open(path)
    except UserError as error:
        return section("What surprises it", note(f"Nothing to see: {error}"))
    found = token_surprisals(model, text, READ, _documents(run))
    if not found:
        return ""
    shown = found[select_passage(found, tokenizer, SHOWN)]
    tokens = "".join(_token(tokenizer, one) for one in shown)
    steps = ["less than 1 bit", *(f"{low} to {high}" for low, high in pairwise(SHADES))]
    scale = "".join(
        f'<span class="b{shade}">{step}</span>' for shade, step in enumerate([*steps, f"{SHADES[-1]} and more"])
    )
    average = sum(one.bits for one in found) / len(found)
    return section(
        "What surprises it",
        note(
            f"From the {SPLITS[split]} text: the darker a token, the less probable it was for the model. One bit is a "
            f"probability of a half, ten bits are one of 1 in 1,024; the average is {average:.1f}. Point at a token to "
            "see its probability and what was expected."
        ),
        f'<div class="scale">{scale}</div>',
        f'<div class="written tokens" dir="auto">{tokens}</div>',
        table(
            "lrll",
            ["Token", "Bits", "After", "Expected"],
            _most_surprising(tokenizer, found),
            f"Most surprising of the first {number(len(found), 'token')}",
        ),
    )


def _token(tokenizer: Tokenizer, one: TokenSurprisal) -> str:
    shade = bisect.bisect_right(SHADES, one.bits)
    text = surface_form(tokenizer, one.token)
    # The space that a word brings along does not take its colour.
    shown, space = (text[:-1], " ") if len(text) > 1 and text.endswith(" ") else (text.replace("\n", "↵\n"), "")
    title = f"{one.bits:.1f} bits, {_chance(one.logprob)}. Expected: {_expected(tokenizer, one)}"
    return f'<span class="b{shade}" title="{escape(title)}">{escape(shown)}</span>{space}'


def _expected(tokenizer: Tokenizer, one: TokenSurprisal) -> str:
    return " · ".join(f"{visible_form(tokenizer, token)} {100 * chance:.1f}\u00a0%" for token, chance in one.expected)


def _chance(logprob: float) -> str:
    if logprob > math.log(0.001):
        return f"{100 * math.exp(logprob):.1f}\u00a0%"
    against = math.exp(min(-logprob, 700))
    return f"1 in {against:,.0f}" if against < 1e9 else f"1 in {against:.1e}"


def _most_surprising(tokenizer: Tokenizer, found: Sequence[TokenSurprisal]) -> Iterable[tuple[str, str, str, str]]:
    ranked = sorted(range(len(found)), key=lambda place: (found[place].logprob, place))
    for place in ranked[:SURPRISES]:
        one = found[place]
        before = "".join(surface_form(tokenizer, other.token) for other in found[max(0, place - BEFORE - 1) : place])
        shown = f"…{before[-BEFORE:]}" if len(before) > BEFORE else before
        yield visible_form(tokenizer, one.token), f"{one.bits:.1f}", shown.replace("\n", "↵"), _expected(tokenizer, one)


def _text(run: TextResults) -> str:
    names = ("lines", "documents", "tokens", "characters", "unknown")
    rows = [
        (split, *(part.get(key, "") for key in names), f"{part['unknown'] / max(part['tokens'], 1):.2%}")
        for split, part in (run.text.get("splits") or {}).items()
    ]
    header = ["Part", "Lines", "Documents", "Tokens", "Characters", "<unk>", "Share"]
    tokenizer = run.text.get("tokenizer") or {}
    remark = f"The {tokenizer['kind']} tokenizer has {number(tokenizer['symbols'], 'symbol')}." if rows else ""
    return section("Text", table("lrrrrrr", header, rows), note(remark) if remark else "")


def _time(run: TextResults) -> str:
    spent = [(SPENT.get(key, key), float(value)) for key, value in (run.training.get("seconds") or {}).items()]
    speed = run.training.get("tokens_per_second")
    remark = note(f"Training went through {speed:,.0f} tokens a second, evaluation apart.") if speed else ""
    return section("Where the time went", markup.shares(spent) if spent else "", remark)
