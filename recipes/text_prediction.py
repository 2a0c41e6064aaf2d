"""Text prediction: prepare a text, train a language model, score it, sample from it, report.

The run's folder holds the prepared text, checkpoints, the model (language/), metrics.json, samples.jsonl and
report.html. The same command goes on where an earlier one stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from omegaconf import DictConfig

from speechrnn.cli.main import recipe
from speechrnn.core.config import options_from
from speechrnn.data.texts import text_options
from speechrnn.experiments.preflight import check_prediction
from speechrnn.experiments.run import Run, keep_earlier_values
from speechrnn.experiments.stages import run_stages
from speechrnn.experiments.text_prediction import TextPrediction, TextPredictionOptions


@dataclass(frozen=True)
class RecipeOptions(TextPredictionOptions):
    """The keys of conf/text_prediction.yaml, but for the text and the run's folder."""

    stages: tuple[Literal["prepare", "ngram", "train", "score", "sample", "report"], ...]


@recipe("text_prediction")
def main(config: DictConfig) -> None:
    """Turn a text into a language model, measure how well it predicts, and sample from it."""
    kept = keep_earlier_values("text_prediction", config)
    options, text = options_from(config, RecipeOptions), text_options(config.text)
    check_prediction(options, options.stages)
    run = Run.open("text_prediction", config)
    run.start_logging(kept)
    prediction = TextPrediction(options, text, run)
    run_stages(
        options.stages,
        {
            "prepare": prediction.prepare,
            "ngram": prediction.estimate_ngram,
            "train": prediction.train,
            "score": prediction.score,
            "sample": prediction.sample,
            "report": prediction.report,
        },
    )


if __name__ == "__main__":
    main()
