"""Speech to text: prepare a corpus, train an acoustic and a language model, decode the test part, report.

The run's folder holds the prepared corpus, checkpoints, the models (acoustic/, and with decoding=beam language/),
metrics.json, hypotheses.jsonl and report.html. The same command goes on where an earlier one stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from omegaconf import DictConfig

from speechrnn.cli.main import recipe
from speechrnn.data.corpora import corpus_options
from speechrnn.data.corpora.prepare import prepare
from speechrnn.experiments.run import Run, is_first_process
from speechrnn.experiments.speech_to_text import SpeechOptions, decode, train, train_language, tune
from speechrnn.reports.speech import write_report


@dataclass(frozen=True)
class RecipeOptions(SpeechOptions):
    """What conf/speech_to_text.yaml explains."""

    stages: tuple[Literal["prepare", "train", "language", "tune", "decode", "report"], ...]


@recipe("speech_to_text")
def main(config: DictConfig) -> None:
    """A corpus becomes batches, batches become a model, the model finds words, and the words become a report."""
    source = corpus_options(config.corpus)
    options = RecipeOptions.from_config(config)
    run = Run.open("speech_to_text", config)
    run.start_logging()
    if "train" in options.stages:
        corpus = train(options, source, run)
    else:
        corpus = prepare(source, run.prepared, options.normalisation)
    if "language" in options.stages:
        train_language(options, run)
    if not is_first_process():
        return
    if "tune" in options.stages:
        tune(options, corpus, run)
    if "decode" in options.stages:
        decode(options, corpus, run)
    if "report" in options.stages:
        run.log(f"Report: {write_report(run.folder)}")


if __name__ == "__main__":
    main()
