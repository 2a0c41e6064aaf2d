"""Speech to text: prepare a corpus, train an acoustic model, decode the test part, and report."""

from __future__ import annotations

import json
import logging

from lhotse import CutSet
from omegaconf import DictConfig

from speechrnn.cli import recipe
from speechrnn.corpora import CorpusOptions
from speechrnn.corpora.prepare import Prepared, prepare
from speechrnn.errors import UserError
from speechrnn.options import build, plain
from speechrnn.run import Run
from speechrnn.text import NormalisationOptions, TokenizerOptions, build_tokenizer, describe_unknown, unknown_report

logger = logging.getLogger("speechrnn")
STAGES = ("prepare", "train", "decode", "report")


@recipe("speech_to_text")
def main(config: DictConfig) -> None:
    """The story: a corpus becomes batches, batches become a model, the model becomes words, and words become a report."""
    stages = check_stages(config)
    run = Run.start("speech_to_text", config)
    fabric = launch(config, run) if "train" in stages else None
    if fabric is None or fabric.is_global_zero:
        corpus = prepare_corpus(config, run)
    if fabric is not None:
        fabric.barrier()  # the first process prepares, the others find it done
        corpus = prepare_corpus(config, run)
        train(config, run, corpus, fabric)
        if not fabric.is_global_zero:
            return
    if "decode" in stages:
        decode(config, run, corpus)
    if "report" in stages:
        report(run)
