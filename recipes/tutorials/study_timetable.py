"""Study timetable: a network that gets its own predictions as inputs bridges missed days.

Trains it and one without the feedback, in seconds; the run's report.html shows both on seen and on missed days.
"""

from __future__ import annotations

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from speechrnn.cli.main import recipe
from speechrnn.core.config import options_from
from speechrnn.core.files import short_path
from speechrnn.experiments.run import Run
from speechrnn.tutorials.setting import repeatable
from speechrnn.tutorials.study_timetable.model import TimetableOptions, TrainedNetwork, train_and_test
from speechrnn.tutorials.study_timetable.page import write_study_timetable


@recipe("study_timetable")
def main(config: DictConfig) -> None:
    """Train with feedback and without, test on missed days, report."""
    options = options_from(config, TimetableOptions)
    run = Run.open("study_timetable", config)
    with repeatable(options.seed):
        feedback = train_and_test(True, options)
    with repeatable(options.seed):  # the same days
        facts_alone = train_and_test(False, options)
    run.update_metrics("feedback", figures(feedback))
    run.update_metrics("facts_alone", figures(facts_alone))
    report = write_study_timetable(run, options, feedback, facts_alone=facts_alone)
    show(feedback, facts_alone)
    print(f"report  {short_path(report)}")


def figures(network: TrainedNetwork) -> dict[str, object]:
    """Return the numbers for metrics.json."""
    return {
        "accuracy_by_missed_days": network.accuracy,
        "holiday_accuracy": sum(network.holiday) / len(network.holiday),
        "loss": network.losses[-1],
    }


def show(feedback: TrainedNetwork, facts_alone: TrainedNetwork) -> None:
    """Print the right predictions by the number of missed days before."""
    table = Table("missed days in a row", "with feedback", "facts alone", title="Is the next subject right?")
    for missed, (with_feedback, without) in enumerate(zip(feedback.accuracy, facts_alone.accuracy, strict=True)):
        table.add_row(f"{missed}", f"{with_feedback:.0%}", f"{without:.0%}")
    days = len(feedback.holiday) - 1
    table.add_row(f"{days}, a holiday", f"{feedback.holiday[-1]:.0%}", f"{facts_alone.holiday[-1]:.0%}")
    Console().print(table)


if __name__ == "__main__":
    main()
