"""Gradients: they vanish and explode; clipping helps, and an LSTM learns what a plain RNN cannot.

Half a minute on one core; the run's report.html has the curves.
"""

from __future__ import annotations

import math

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from speechrnn.cli.main import recipe
from speechrnn.core.config import options_from
from speechrnn.core.files import short_path
from speechrnn.core.jsonio import finite
from speechrnn.core.plural import count
from speechrnn.experiments.run import Run
from speechrnn.tutorials.gradients.clipping import descend
from speechrnn.tutorials.gradients.flow import measure_all
from speechrnn.tutorials.gradients.page import GradientResults, GradientsOptions, write_gradients
from speechrnn.tutorials.gradients.recall import run_recall
from speechrnn.tutorials.page import scientific
from speechrnn.tutorials.pictures import CELLS, NAMES
from speechrnn.tutorials.setting import repeatable


@recipe("gradients")
def main(config: DictConfig) -> None:
    """Measure the flow, train with and without clipping, train each cell on each delay, report."""
    options = options_from(config, GradientsOptions)
    run = Run.open("gradients", config)
    results = measure(options)
    run.update_metrics("flow", {flow.name(): finite(flow.norms[-1]) for flow in [*results.flows, *results.gated]})
    run.update_metrics("clipping", {name: final(descent.losses) for name, descent in results.descents.items()})
    run.update_metrics("recall", recalled(results))
    report = write_gradients(run, options, results)
    show(options, results)
    print(f"report  {short_path(report)}")


def measure(options: GradientsOptions) -> GradientResults:
    """Run each part from the seed, so that none depends on the options of another."""
    with repeatable(options.seed):
        flows, gated = measure_all(options.flow, options.units)
    clip, rate = options.clipping.norm, options.clipping.learning_rate
    descents = {}
    for name, learning_rate, limit in (
        ("clipped", rate, clip),
        ("not clipped", rate, math.inf),
        ("not clipped, a tenth of the rate", rate / 10, math.inf),
    ):
        with repeatable(options.seed):
            descents[name] = descend(options.clipping, options.units, learning_rate, clip=limit)
    with repeatable(options.seed):
        return GradientResults(flows, gated, descents, recalled=run_recall(options.recall, options.units))


def final(losses: list[float]) -> float | None:
    """Return the mean of the last tenth; None where it is not finite."""
    last = losses[-max(1, len(losses) // 10) :]
    mean: float | None = finite(sum(last) / len(last))
    return mean


def recalled(results: GradientResults) -> dict[str, object]:
    """Return the numbers for metrics.json: accuracy and steps by cell and delay."""
    figures: dict[str, dict[str, object]] = {}
    for item in results.recalled:
        figures.setdefault(item.cell, {})[str(item.delay)] = {"accuracy": item.accuracy, "steps": item.steps}
    return dict(figures)


def show(options: GradientsOptions, results: GradientResults) -> None:
    """Print how much of the gradient is left, and the accuracy at each delay."""
    delays = [f"delay {delay}" for delay in options.recall.delays]
    left = f"gradient left {count(options.flow.distance, 'token')} back"
    table = Table(
        "cell",
        left,
        *delays,
        title="Gradients before training, and letters recalled after it",
    )
    for cell in CELLS:
        right = [f"{item.accuracy:.0%}" for item in results.recalled if item.cell == cell]
        table.add_row(NAMES[cell], scientific(results.reach(cell).norms[-1]), *right)
    Console().print(table)


if __name__ == "__main__":
    main()
