"""Perplexity of a language model on text files, and the log-probabilities of their lines."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from speechrnn.core.device import find_device
from speechrnn.core.files import atomic_write, check_not_read
from speechrnn.core.jsonio import read_json
from speechrnn.core.model_names import DESCRIPTION, find_model_directory
from speechrnn.core.temporary import temporary_folder
from speechrnn.data.texts import Part
from speechrnn.data.texts.encode import normalised
from speechrnn.data.texts.prepare import tokenize
from speechrnn.data.texts.reader import Line, by_blank_lines, by_file, find
from speechrnn.data.tokens import TokenFile
from speechrnn.evaluation.adaptation import AdaptationOptions, CacheOptions, DynamicOptions, adaptive_scorer
from speechrnn.evaluation.perplexity import LineScore, Reader, TextScore, score_lines, token_log_probs
from speechrnn.nn.language import LanguageModel, load_language
from speechrnn.text.normalisation import model_normalisation


@dataclass(frozen=True)
class TextFiles:
    """The files of a text, by paths and patterns.

    Attributes:
        documents: whether the text is separate documents: the files if there are several, else what blank lines part;
            "files": the files, also where there is a single one.
    """

    files: str | tuple[str, ...]
    errors: Literal["strict", "replace"] = "strict"
    documents: bool | Literal["files"] = False


@dataclass(frozen=True)
class TextEvaluation:
    """Options of an evaluation of a language model on a text; conf/evaluate.yaml explains the keys."""

    model: Path
    text: TextFiles
    lines: Path | None = None
    cache: bool = False
    dynamic: bool = False
    adaptation: AdaptationOptions = field(default_factory=AdaptationOptions)
    device: str = "auto"


def evaluate_text(options: TextEvaluation) -> dict[str, Any]:
    """Compute the rows of `metrics.json` for a text, in constant memory; each row reads the text once.

    Returns:
        `TextScore.figures`, with the number of lines and of `<unk>` tokens, and entries "cache" and "dynamic" where
        they are asked for.

    Raises:
        UserError: there is no such model, file or device; the text is empty, no UTF-8 or holds characters that the
            model lacks; or `lines` cannot be written.
    """
    options = replace(options, model=find_model_directory(options.model, "language"))
    model, tokenizer = load_language(options.model)
    model = model.to(find_device(options.device))
    normalisation = model_normalisation(read_json(options.model / DESCRIPTION))
    part, documents = part_of(options.text), bool(options.text.documents)
    check_not_read(options.lines, {"text": part.files}, "lines")
    with temporary_folder() as folder:
        path = folder / "test.tokens"
        counts = tokenize(part, tokenizer, normalisation, path=path, split="test")
        text = TokenFile.open(path)
        scores = score_lines(text, read(model, text, documents, reader=None, name="model"))
        if options.lines is not None:
            scores = written(scores, whole(normalised(part.lines(), normalisation)), options.lines)
        own = TextScore(-math.fsum(score.logprob for score in scores), len(text), text.characters)
        figures = {**own.figures(), "lines": counts["lines"], "unknown": counts["unknown"]}
        adapting: dict[str, CacheOptions | DynamicOptions] = {}
        if options.cache:
            adapting["cache"] = options.adaptation.cache
        if options.dynamic:
            adapting["dynamic"] = options.adaptation.dynamic
        for name, constants in adapting.items():
            windows = read(model, text, documents, reader=adaptive_scorer(model, constants), name=name)
            score = TextScore(-math.fsum(float(window.sum()) for window in windows), len(text), text.characters)
            figures[name] = {**score.figures(), **asdict(constants)}
    return figures


def part_of(text: TextFiles) -> Part:
    """Return the files as one part of a text."""
    files = find((text.files,) if isinstance(text.files, str) else text.files, None, "text")
    whole_files = text.documents == "files" or (text.documents is True and len(files) > 1)

    def lines() -> Iterator[Line]:
        read = by_file(files, text.errors, whole_files)
        return by_blank_lines(read) if text.documents and not whole_files else read

    return Part(files, lines)


def read(
    model: LanguageModel, text: TokenFile, documents: bool, reader: Reader | None, name: str
) -> Iterator[np.ndarray]:
    """Yield `token_log_probs`, with a progress bar on a terminal."""
    windows = token_log_probs(model, text, documents, reader=reader)
    if not sys.stderr.isatty():
        yield from windows
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn(f"{name} {{task.percentage:.0f}} %"), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=len(text))
        for window in windows:
            yield window
            bar.update(task, advance=len(window))


def written(scores: Iterable[LineScore], texts: Iterable[str], path: Path) -> Iterator[LineScore]:
    """Yield the scores and write each as a line of JSON with its text: number from 1, tokens, logprob, perplexity."""
    with atomic_write(path) as output:
        for number, (score, text) in enumerate(zip(scores, texts, strict=True), start=1):
            figures = {"tokens": score.tokens, "logprob": score.logprob, "perplexity": score.perplexity}
            output.write(json.dumps({"line": number, "text": text, **figures}, ensure_ascii=False) + "\n")
            yield score


def whole(lines: Iterable[Line]) -> Iterator[str]:
    """Yield the texts of lines; long lines come in several blocks and are joined."""
    text = ""
    for line in lines:
        text += line.text
        if line.ended:
            yield text
            text = ""
