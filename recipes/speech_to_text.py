"""Speech to text: prepare a corpus, train an acoustic and a language model, decode the test part, report.

The run's folder holds the prepared corpus, checkpoints, the models (acoustic/, and with decoding=beam language/),
metrics.json, hypotheses.jsonl and report.html. The same command goes on where an earlier one stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from omegaconf import DictConfig

from speechrnn.cli.main import recipe
from speechrnn.core.config import options_from
from speechrnn.data.corpora import corpus_options
from speechrnn.experiments.preflight import check_speech
from speechrnn.experiments.run import Run, keep_earlier_values
from speechrnn.experiments.speech_to_text import SpeechOptions, SpeechToText
from speechrnn.experiments.stages import run_stages


@dataclass(frozen=True)
class RecipeOptions(SpeechOptions):
    """The keys of conf/speech_to_text.yaml, but for the corpus and the run's folder."""

    stages: tuple[Literal["prepare", "train", "language", "tune", "decode", "report"], ...]


@recipe("speech_to_text")
def main(config: DictConfig) -> None:
    """Turn a corpus into models, decode its test part with them, and report the errors."""
    kept = keep_earlier_values("speech_to_text", config)
    options, corpus = options_from(config, RecipeOptions), corpus_options(config.corpus)
    check_speech(options, options.stages)
    run = Run.open("speech_to_text", config)
    run.start_logging(kept)
    speech = SpeechToText(options, corpus, run)
    run_stages(
        options.stages,
        {
            "prepare": speech.prepare,
            "train": speech.train,
            "language": speech.train_language,
            "tune": speech.tune,
            "decode": speech.decode,
            "report": speech.report,
        },
    )


if __name__ == "__main__":
    main()
