"""What an LSTM forgets, takes in and shows at each token of a text, and cells that keep track of something.

Looks at a language model of yours, or trains a small one first; the run's report.html has the pictures.
"""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from speechrnn.cli.main import recipe
from speechrnn.core.config import options_from
from speechrnn.experiments.run import Run
from speechrnn.nn.checkpoint import DESCRIPTION
from speechrnn.tutorials.gates.model import GatesOptions, Watched, make_small_model, watch
from speechrnn.tutorials.gates.page import memory, write_gates
from speechrnn.tutorials.setting import repeatable


@recipe("gates")
def main(config: DictConfig) -> None:
    """Train if need be, read, find the cells, report."""
    options = options_from(config, GatesOptions)
    if options.model is None:
        run = Run.open("gates", config)
        folder = run.language
        if not (folder / DESCRIPTION).exists():
            with repeatable(options.seed):
                make_small_model(run, options.small, options.seed)
        watched = look(folder, options)
    else:
        folder = options.model
        watched = look(folder, options)
        run = Run.open("gates", config)  # only now, so that a wrong model or text leaves no run behind
    run.update_metrics("gates", figures(watched))
    source = "a small character model" if options.model is None else str(options.model)
    report = write_gates(run, watched, source)
    show(watched)
    print(f"model   {folder}")
    print(f"report  {report}")


def look(folder: Path, options: GatesOptions) -> Watched:
    """The same whether or not the model was just trained."""
    with repeatable(options.seed):
        return watch(folder, options)


def figures(watched: Watched) -> dict[str, object]:
    """For metrics.json."""
    before = {tracker.name: tracker.correlation for tracker in watched.untrained}
    return {
        "largest_difference_from_torch": watched.difference,
        "cells": {
            tracker.name: {
                "layer": tracker.layer + 1,
                "cell": tracker.unit + 1,
                "correlation": tracker.correlation,
                "before_training": before[tracker.name],
            }
            for tracker in watched.trackers
        },
    }


def show(watched: Watched) -> None:
    """The cells that were found."""
    table = Table("what it follows", "cell", "correlation", "remembers about", title="Cells that keep track")
    for tracker in watched.trackers:
        tokens = memory(watched.held_out.layers[tracker.layer], tracker.unit)
        where = f"{tracker.unit + 1} of layer {tracker.layer + 1}"
        table.add_row(tracker.name, where, f"{tracker.correlation:+.2f}", f"{tokens:.0f} tokens")
    Console().print(table)


if __name__ == "__main__":
    main()
