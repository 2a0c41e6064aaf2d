"""Spelling of a character model: the share of correct words against training steps.

Trains for a minute or two; the run's report.html shows the curve and what the model wrote at each stage.
"""

from __future__ import annotations

from omegaconf import DictConfig
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from speechrnn.cli.main import recipe
from speechrnn.core.config import options_from
from speechrnn.core.files import short_path
from speechrnn.experiments.run import Run
from speechrnn.tutorials.setting import repeatable
from speechrnn.tutorials.spelling.model import Checkpoint, SpellingOptions, read_text, train, words
from speechrnn.tutorials.spelling.page import write_spelling


@recipe("spelling")
def main(config: DictConfig) -> None:
    """Train, check the generated words now and then, report."""
    options = options_from(config, SpellingOptions)
    lines = read_text(options.files)
    run = Run.open("spelling", config)
    checkpoints: list[Checkpoint] = []
    with repeatable(options.seed):
        for checkpoint in train(lines, options):
            checkpoints.append(checkpoint)
            print(
                f"step {checkpoint.step:5}  {checkpoint.loss:.3f} nats a character  "
                f"{checkpoint.accuracy:5.1%} correct words"
            )
    figures = [
        {"step": checkpoint.step, "loss": checkpoint.loss, "words": checkpoint.words, "right": checkpoint.accuracy}
        for checkpoint in checkpoints
    ]
    run.update_metrics("spelling", {"looks": figures})
    report = write_spelling(run, options, checkpoints, vocabulary=len(set(words("\n".join(lines)))))
    show(checkpoints)
    print(f"report  {short_path(report)}")


def show(checkpoints: list[Checkpoint]) -> None:
    """Print what the model generated at the beginning, in the middle and at the end."""
    table = Table("steps", "correct words", "generated text", title="Learning to spell")
    for checkpoint in (checkpoints[0], checkpoints[len(checkpoints) // 2], checkpoints[-1]):
        table.add_row(
            f"{checkpoint.step:,}", f"{checkpoint.accuracy:.0%}", escape(" ".join(checkpoint.sample.split())[:120])
        )
    Console().print(table)


if __name__ == "__main__":
    main()
