"""Food chain: feedback completes every sentence, a network without memory cannot.

Trains both on five sentences in seconds; the run's report.html shows what each of them writes, and why.
"""

from __future__ import annotations

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from speechrnn.cli.main import recipe
from speechrnn.core.config import options_from
from speechrnn.core.files import short_path
from speechrnn.experiments.run import Run
from speechrnn.tutorials.food_chain.model import FoodChainOptions, TrainedNetwork, expected, run_experiment
from speechrnn.tutorials.food_chain.page import write_food_chain
from speechrnn.tutorials.setting import repeatable


@recipe("food_chain")
def main(config: DictConfig) -> None:
    """Train with feedback and without, complete the prompts, report."""
    options = options_from(config, FoodChainOptions)
    with repeatable(options.seed):
        words, feedback, last_word = run_experiment(options)
    run = Run.open("food_chain", config)
    run.update_metrics("feedback", figures(feedback))
    run.update_metrics("last_word", figures(last_word))
    report = write_food_chain(run, options, words, feedback=feedback, last_word=last_word)
    show(feedback, last_word)
    print(f"report  {short_path(report)}")


def figures(network: TrainedNetwork) -> dict[str, object]:
    """Return the numbers for metrics.json."""
    return {
        "right": network.right(),
        "known_mistakes": network.mistakes(),
        "probability_of_the_food": network.history[-1],
        "written": network.written,
    }


def show(feedback: TrainedNetwork, last_word: TrainedNetwork) -> None:
    """Print both completions of each prompt."""
    table = Table("beginning", "with feedback", "last word only", title="Who feeds on whom?")
    for prompt, text in feedback.written.items():
        other = last_word.written[prompt]
        cells = [f"[green]{each}" if each == expected(prompt) else each for each in (text, other)]
        table.add_row(prompt, *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
