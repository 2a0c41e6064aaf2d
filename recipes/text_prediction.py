"""Text prediction: prepare a text, train a language model, score it, let it write, report.

The run's folder holds the prepared text, checkpoints, the model (language/), metrics.json, samples.jsonl and
report.html. The same command goes on where an earlier one stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from omegaconf import DictConfig

from speechrnn.cli.main import recipe
from speechrnn.data.texts import text_options
from speechrnn.data.texts.prepare import prepare_text
from speechrnn.experiments.run import Run, is_first_process
from speechrnn.experiments.text_prediction import TextPredictionOptions, sample, score, train
from speechrnn.reports.text import write_text_report


@dataclass(frozen=True)
class RecipeOptions(TextPredictionOptions):
    """What conf/text_prediction.yaml explains."""

    stages: tuple[Literal["prepare", "train", "score", "sample", "report"], ...]


@recipe("text_prediction")
def main(config: DictConfig) -> None:
    """A text becomes tokens, tokens become a model, and the model says how likely texts are and writes new ones."""
    source = text_options(config.text)
    options = RecipeOptions.from_config(config)
    run = Run.open("text_prediction", config)
    run.start_logging()
    if "train" in options.stages:
        text = train(options, source, run)
        if not is_first_process():
            return
    else:
        text = prepare_text(source, options.tokenizer, options.normalisation, run.prepared_text)
    if "score" in options.stages:
        score(options, text, run)
    if "sample" in options.stages:
        sample(options, text, run)
    if "report" in options.stages:
        run.log(f"Report: {write_text_report(run.folder)}")


if __name__ == "__main__":
    main()
