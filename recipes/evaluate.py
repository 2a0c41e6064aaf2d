"""Word and character error rates of transcripts, or the comparison of two runs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from speechrnn import metrics
from speechrnn.cli import recipe
from speechrnn.errors import UserError
from speechrnn.files import atomic_write
from speechrnn.options import build
from speechrnn.text import NormalisationOptions, normalise
from speechrnn.transcripts import HYPOTHESIS, REFERENCE, Matched, match, read_texts


@dataclass(frozen=True)
class EvaluateOptions:
    """The keys of the recipe; conf/evaluate.yaml explains them."""

    references: Path | None
    hypotheses: Path | None
    runs: tuple[Path, ...]
    output: Path | None
    normalisation: NormalisationOptions


@recipe("evaluate")
def main(config: DictConfig) -> None:
    """Texts are read, normalised alike, matched by id, and counted."""
    options = build(EvaluateOptions, config, "")
    if (options.hypotheses is None) != bool(options.runs) or len(options.runs) not in (0, 2):
        raise UserError(
            "Nothing to evaluate: give hypotheses=PATH (and references=PATH), or two runs as in runs=[A,B]."
        )
    if options.hypotheses is not None:
        figures = evaluate(options, options.hypotheses)
    else:
        figures = compare(options, *options.runs)
    if options.output is not None:
        with atomic_write(options.output) as file:
            json.dump(figures, file, indent=2)
            file.write("\n")


def evaluate(options: EvaluateOptions, hypotheses: Path) -> dict[str, Any]:
    """Prints the errors of one set of hypotheses; returns them."""
    matched = read(options, hypotheses, "hypotheses")
    figures = metrics.score(matched.rows)
    low, high = figures["wer_ci95"]
    errors = sum(figures[kind] for kind in ("substitutions", "insertions", "deletions"))
    print(f"WER         {figures['wer']:7.2%}   (95 % interval {low:.2%} to {high:.2%})")
    print(f"CER         {figures['cer']:7.2%}")
    print(
        f"errors      {errors:6}    {figures['substitutions']} substitutions, {figures['insertions']} insertions, "
        f"{figures['deletions']} deletions"
    )
    print(f"words       {figures['words']:6}")
    print(f"utterances  {figures['utterances']:6}")
    for note in matched.notes():
        print(note)
    return {**figures, "unheard": len(matched.unheard), "unknown": len(matched.unknown)}


def compare(options: EvaluateOptions, first: Path, second: Path) -> dict[str, Any]:
    """Prints what the second run does better or worse than the first; returns it."""
    runs = [read(options, run, "runs") for run in (first, second)]
    comparison = metrics.compare(runs[0].rows, runs[1].rows)
    low, high = comparison.interval
    width = max(len(str(first)), len(str(second)), len("difference"))
    print(f"{first!s:<{width}}  WER {comparison.rate_a:7.2%}")
    print(f"{second!s:<{width}}  WER {comparison.rate_b:7.2%}")
    print(f"{'difference':<{width}}      {comparison.difference:+7.2%}   (95 % interval {low:+.2%} to {high:+.2%})")
    verdict = "significant" if comparison.p_value < 0.05 else "not significant"
    print(f"{verdict} at 5 %: p = {comparison.p_value:.2g} over {comparison.utterances} utterances (matched pairs)")
    for run, matched in zip((first, second), runs, strict=True):
        for note in matched.notes():
            print(f"{run}: {note}")
    return asdict(comparison)


def read(options: EvaluateOptions, hypotheses: Path, key: str) -> Matched:
    """Hypotheses and their references, both normalised."""
    source = options.references or hypotheses
    references = read_texts(source, REFERENCE if options.references else REFERENCE[:1], "references")
    matched = match(references, read_texts(hypotheses, HYPOTHESIS, key))
    for row in matched.rows:
        row["reference"] = normalise(row["reference"], options.normalisation)
        row["hypothesis"] = normalise(row["hypothesis"], options.normalisation)
    return matched


if __name__ == "__main__":
    main()
