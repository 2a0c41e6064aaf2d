"""How a character model learns to spell: the share of its words that are words, against training steps.

Trains for a minute or two; the run's report.html shows the curve and what the model wrote at each stage.
"""

from __future__ import annotations

from omegaconf import DictConfig
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from speechrnn.cli.main import recipe
from speechrnn.core.config import options_from
from speechrnn.experiments.run import Run
from speechrnn.tutorials.setting import repeatable
from speechrnn.tutorials.spelling.model import Look, SpellingOptions, read, study, words
from speechrnn.tutorials.spelling.page import write_spelling


@recipe("spelling")
def main(config: DictConfig) -> None:
    """Train, look now and then at what the model writes, report."""
    options = options_from(config, SpellingOptions)
    lines = read(options.files)
    run = Run.open("spelling", config)
    looks: list[Look] = []
    with repeatable(options.seed):
        for seen in study(lines, options):
            looks.append(seen)
            print(f"step {seen.step:5}  {seen.loss:.3f} nats a character  {seen.right:5.1%} words")
    figures = [{"step": seen.step, "loss": seen.loss, "words": seen.words, "right": seen.right} for seen in looks]
    run.update_metrics("spelling", {"looks": figures})
    report = write_spelling(run, options, looks, len(set(words("\n".join(lines)))))
    show(looks)
    print(f"report  {report}")


def show(looks: list[Look]) -> None:
    """What it wrote at the beginning, in the middle and at the end."""
    table = Table("steps", "words that are words", "what it wrote", title="Learning to spell")
    for seen in (looks[0], looks[len(looks) // 2], looks[-1]):
        table.add_row(f"{seen.step:,}", f"{seen.right:.0%}", escape(" ".join(seen.sample.split())[:120]))
    Console().print(table)


if __name__ == "__main__":
    main()
