"""Error rates of transcripts, the comparison of two runs, or the perplexity of a text."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from speechrnn.cli.main import recipe
from speechrnn.core.config import options_from
from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write, check_not_read
from speechrnn.core.plural import count
from speechrnn.evaluation import metrics
from speechrnn.evaluation.hypotheses import HYPOTHESES, HYPOTHESIS, REFERENCE, Matched, match, read_texts
from speechrnn.text.normalisation import NormalisationOptions, normalise


@dataclass(frozen=True)
class EvaluateOptions:
    """The keys that are about transcripts; conf/evaluate.yaml explains them."""

    references: Path | None
    hypotheses: Path | None
    runs: tuple[Path, ...]
    output: Path | None
    normalisation: NormalisationOptions


@recipe("evaluate")
def main(config: DictConfig) -> None:
    """Count the errors of transcripts, compare two runs, or measure the perplexity of a text."""
    options = options_from(config, EvaluateOptions)
    of_text = config.model is not None or config.text.files is not None
    if options.runs and len(options.runs) != 2:
        raise UserError(f"runs= needs two runs to compare, as in runs=[A,B]; it names {len(options.runs)}.")
    if [options.hypotheses is not None, bool(options.runs), of_text].count(True) != 1:
        raise UserError(
            "Nothing to evaluate: give hypotheses=PATH (and references=PATH), or two runs as in runs=[A,B], or "
            "model=DIR and text=FILE; one of the three."
        )
    check_not_read(options.output, files_that_are_read(options, config))
    if options.hypotheses is not None:
        figures = evaluate(options, options.hypotheses)
    elif options.runs:
        figures = compare(options, *options.runs)
    else:
        figures = predict(config)
    if options.output is not None:
        with atomic_write(options.output) as file:
            json.dump(figures, file, indent=2)
            file.write("\n")


def files_that_are_read(options: EvaluateOptions, config: DictConfig) -> dict[str, list[Path]]:
    """Return the files of each key that names some."""
    texts: dict[str, list[Path | None]] = {
        "references": [options.references],
        "hypotheses": [options.hypotheses],
        "runs": [*options.runs],
    }
    read = {
        key: [file for path in paths if path is not None for file in (path, path / HYPOTHESES)]
        for key, paths in texts.items()
    }
    files = config.text.files
    return {**read, "text": [Path(files)] if isinstance(files, str) else [Path(str(name)) for name in files or ()]}


def evaluate(options: EvaluateOptions, hypotheses: Path) -> dict[str, Any]:
    """Print the error rates of hypotheses, and return them."""
    matched = read(options, hypotheses, "hypotheses")
    figures = metrics.score(matched.rows)
    low, high = figures["wer_ci95"]
    errors = sum(figures[kind] for kind in ("substitutions", "insertions", "deletions"))
    print(f"WER         {figures['wer']:7.2%}   (95 % interval {low:.2%} to {high:.2%})")
    print(f"CER         {figures['cer']:7.2%}")
    print(
        f"errors      {errors:6}    "
        + ", ".join(count(figures[f"{kind}s"], kind) for kind in ("substitution", "insertion", "deletion"))
    )
    print(f"words       {figures['words']:6}")
    print(f"utterances  {figures['utterances']:6}")
    for note in matched.notes():
        print(note)
    return {**figures, "missing": len(matched.missing), "unknown": len(matched.unknown)}


def compare(options: EvaluateOptions, first: Path, second: Path) -> dict[str, Any]:
    """Print the difference of the error rates of two runs and its significance, and return it."""
    runs = [read(options, run, "runs") for run in (first, second)]
    comparison = metrics.compare(runs[0].rows, runs[1].rows)
    low, high = comparison.interval
    width = max(len(str(first)), len(str(second)), len("difference"))
    print(f"{first!s:<{width}}  WER {comparison.rate_a:7.2%}")
    print(f"{second!s:<{width}}  WER {comparison.rate_b:7.2%}")
    print(f"{'difference':<{width}}      {comparison.difference:+7.2%}   (95 % interval {low:+.2%} to {high:+.2%})")
    verdict = "significant" if comparison.p_value < 0.05 else "not significant"
    print(
        f"{verdict} at 5 %: p = {comparison.p_value:.2g} "
        f"over {count(comparison.utterances, 'utterance')} (matched pairs)"
    )
    for run, matched in zip((first, second), runs, strict=True):
        for note in matched.notes():
            print(f"{run}: {note}")
    return asdict(comparison)


def read(options: EvaluateOptions, hypotheses: Path, key: str) -> Matched:
    """Read hypotheses and their references, and normalise both."""
    if options.references is not None:
        references = read_texts(options.references, REFERENCE, "references")
    else:
        references = read_texts(hypotheses, REFERENCE[:1], key)
    matched = match(references, read_texts(hypotheses, HYPOTHESIS, key))
    for row in matched.rows:
        row["reference"] = normalise(row["reference"], options.normalisation)
        row["hypothesis"] = normalise(row["hypothesis"], options.normalisation)
    return matched


def predict(config: DictConfig) -> dict[str, Any]:
    """Print the perplexity of a language model on a text, and return it."""
    # Here, because error rates need no torch and shall come at once.
    from speechrnn.evaluation.text_evaluation import TextEvaluation, evaluate_text

    if config.model is None or config.text.files is None:
        missing = "model=DIR, the one that reads" if config.model is None else "text=FILE, what it reads"
        raise UserError(f"Perplexity is that of a model on a text: give {missing}.")
    figures = evaluate_text(options_from(config, TextEvaluation))
    print(f"{'':<20}perplexity   bits per character")
    for name, row in (("model", figures), *((key, figures[key]) for key in ("cache", "dynamic") if key in figures)):
        title = {"model": "model", "cache": "neural cache", "dynamic": "dynamic evaluation"}[name]
        print(f"{title:<20}{row['perplexity']:10.2f}   {row['bits_per_character']:18.4f}")
    print(
        f"{count(figures['tokens'], 'token')}, {count(figures['lines'], 'line end')} among them; "
        f"{count(figures['characters'], 'character')}"
    )
    if figures["unknown"]:
        share = figures["unknown"] / figures["tokens"]
        print(
            f"{count(figures['unknown'], 'token is', 'tokens are')} <unk> ({share:.2%}): what the model "
            "does not know counts as that, so its figures compare only with those of the same vocabulary."
        )
    return figures


if __name__ == "__main__":
    main()
