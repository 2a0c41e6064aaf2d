"""Gates of an LSTM at each token of a text, and cells that follow quotes, lines and words.

Uses your language model, or trains a small one first; the run's report.html has the pictures.
"""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from speechrnn.cli.main import recipe
from speechrnn.core.config import options_from
from speechrnn.core.files import short_path
from speechrnn.core.model_names import DESCRIPTION, find_model_directory
from speechrnn.core.plural import count
from speechrnn.experiments.run import Run
from speechrnn.tutorials.gates.model import GateAnalysis, GatesOptions, analyse_gates, make_small_model
from speechrnn.tutorials.gates.page import memory_length, write_gates
from speechrnn.tutorials.setting import repeatable


@recipe("gates")
def main(config: DictConfig) -> None:
    """Train if no model is given, read, find the cells, report."""
    options = options_from(config, GatesOptions)
    if options.model is None:
        run = Run.open("gates", config)
        folder = run.language
        if not (folder / DESCRIPTION).exists():
            with repeatable(options.seed):
                make_small_model(run, options.small, options.seed)
        analysis = look(folder, options)
    else:
        folder = find_model_directory(options.model, "language")
        analysis = look(folder, options)
        run = Run.open("gates", config)  # only now, so that a wrong model or text leaves no run behind
    run.update_metrics("gates", figures(analysis))
    source = "a small character model" if options.model is None else str(options.model)
    report = write_gates(run, analysis, source)
    show(analysis)
    print(f"model   {short_path(folder)}")
    print(f"report  {short_path(report)}")


def look(folder: Path, options: GatesOptions) -> GateAnalysis:
    """Analyse the gates with the seed of the recipe, whether or not the model was just trained."""
    with repeatable(options.seed):
        return analyse_gates(folder, options)


def figures(analysis: GateAnalysis) -> dict[str, object]:
    """Return the numbers for metrics.json."""
    before = {tracker.name: tracker.correlation for tracker in analysis.untrained}
    return {
        "largest_difference_from_torch": analysis.difference,
        "cells": {
            tracker.name: {
                "layer": tracker.layer + 1,
                "cell": tracker.unit + 1,
                "correlation": tracker.correlation,
                "before_training": before[tracker.name],
            }
            for tracker in analysis.trackers
        },
    }


def show(analysis: GateAnalysis) -> None:
    """Print the cells that were found."""
    table = Table("signal", "cell", "correlation", "length of memory", title="Cells that follow something")
    for tracker in analysis.trackers:
        tokens = memory_length(analysis.held_out.layers[tracker.layer], tracker.unit)
        where = f"{tracker.unit + 1} of layer {tracker.layer + 1}"
        table.add_row(tracker.name, where, f"{tracker.correlation:+.2f}", count(round(tokens), "token"))
    Console().print(table)


if __name__ == "__main__":
    main()
