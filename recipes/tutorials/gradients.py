"""Why gradients vanish and explode, what clipping does, and what an LSTM learns that a plain RNN can't.

Half a minute on one core; the run's report.html has the curves.
"""

from __future__ import annotations

import math

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from speechrnn.cli.main import recipe
from speechrnn.core.config import options_from
from speechrnn.experiments.run import Run
from speechrnn.tutorials.gradients.clipping import descend
from speechrnn.tutorials.gradients.flow import measure_all
from speechrnn.tutorials.gradients.page import GradientsOptions, Measured, write_gradients
from speechrnn.tutorials.gradients.recall import study_recall
from speechrnn.tutorials.page import power
from speechrnn.tutorials.pictures import CELLS, NAMES
from speechrnn.tutorials.setting import repeatable


@recipe("gradients")
def main(config: DictConfig) -> None:
    """Measure the flow, train with and without clipping, let each cell learn each delay, report."""
    options = options_from(config, GradientsOptions)
    run = Run.open("gradients", config)
    measured = measure(options)
    run.update_metrics("flow", {flow.name(): flow.norms[-1] for flow in [*measured.flows, *measured.gated]})
    run.update_metrics("clipping", {name: final(descent.losses) for name, descent in measured.descents.items()})
    run.update_metrics("recall", recalled(measured))
    report = write_gradients(run, options, measured)
    show(options, measured)
    print(f"report  {report}")


def measure(options: GradientsOptions) -> Measured:
    """Each part begins with the seed, so that none depends on the options of another."""
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
            descents[name] = descend(options.clipping, options.units, learning_rate, limit)
    with repeatable(options.seed):
        return Measured(flows, gated, descents, study_recall(options.recall, options.units))


def final(losses: list[float]) -> float:
    """The mean of the last tenth."""
    last = losses[-max(1, len(losses) // 10) :]
    return sum(last) / len(last)


def recalled(measured: Measured) -> dict[str, object]:
    """For metrics.json: cell -> delay -> accuracy and steps."""
    figures: dict[str, dict[str, object]] = {}
    for one in measured.recalled:
        figures.setdefault(one.cell, {})[str(one.delay)] = {"accuracy": one.accuracy, "steps": one.steps}
    return dict(figures)


def show(options: GradientsOptions, measured: Measured) -> None:
    """What reaches back, and what was learnt."""
    delays = options.recall.delays
    left = f"gradient left {options.flow.distance} tokens back"
    table = Table(
        "cell", left, *(f"delay {delay}" for delay in delays), title="Reach of an error, and letters recalled"
    )
    for cell in CELLS:
        right = [f"{one.accuracy:.0%}" for one in measured.recalled if one.cell == cell]
        table.add_row(NAMES[cell], power(measured.reach(cell).norms[-1]), *right)
    Console().print(table)


if __name__ == "__main__":
    main()
