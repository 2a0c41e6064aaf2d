"""The stages of speech to text, for recipes to string together."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, fields
from typing import Literal, TypeVar

from lhotse import CutSet
from omegaconf import DictConfig, OmegaConf

from speechrnn.augmentation import SpecAugmentOptions, WaveformOptions
from speechrnn.corpora import CorpusOptions
from speechrnn.corpora.prepare import Prepared, prepare
from speechrnn.data import batches_of, examples, load_all
from speechrnn.errors import UserError
from speechrnn.features import FeatureOptions
from speechrnn.metrics import score
from speechrnn.nn.acoustic import AcousticOptions, save_acoustic
from speechrnn.options import build
from speechrnn.run import Run
from speechrnn.text import NormalisationOptions, TokenizerOptions, build_tokenizer
from speechrnn.training.acoustic import AcousticSettings, AcousticTrainerOptions, readable, train_acoustic
from speechrnn.training.loop import make_fabric
from speechrnn.transcribe import Transcriber
from speechrnn.transcripts import row, write_rows

logger = logging.getLogger("speechrnn")
OptionsT = TypeVar("OptionsT", bound="SpeechOptions")


@dataclass(frozen=True)
class Augmentation:
    """The config group `augmentation`."""

    masks: SpecAugmentOptions
    waveform: WaveformOptions


@dataclass(frozen=True)
class DecodeOptions:
    """The config group `decode`."""

    split: Literal["dev", "test"] = "test"
    batch_seconds: float = field(default=120.0, metadata={"min": 0.1})


@dataclass(frozen=True)
class SpeechOptions:
    """What conf/speech_to_text.yaml explains, but for the corpus and the run's folder."""

    features: FeatureOptions
    tokenizer: TokenizerOptions
    acoustic: AcousticOptions
    augmentation: Augmentation
    trainer: AcousticTrainerOptions
    normalisation: NormalisationOptions
    decode: DecodeOptions

    @classmethod
    def from_config(cls: type[OptionsT], config: DictConfig) -> OptionsT:
        """Raises UserError for a key or a value that does not fit."""
        return build(cls, OmegaConf.masked_copy(config, [key.name for key in fields(cls)]), "")


def train(options: SpeechOptions, source: CorpusOptions, run: Run) -> Prepared:
    """Prepares the corpus, trains to the end, and writes the model directory; several processes may be at it."""
    fabric = make_fabric(options.trainer, run.events / "acoustic")
    if fabric.is_global_zero:
        prepare(source, run.prepared, options.normalisation)
    fabric.barrier()  # the other processes find what the first has prepared
    corpus = prepare(source, run.prepared, options.normalisation)
    if corpus.train is None:
        raise UserError(f"The corpus {source.name} has no training part; {run.prepared}/summary.json says why.")
    training = CutSet.from_file(corpus.train).to_eager()
    held_out = CutSet.from_file(corpus.dev).to_eager() if corpus.dev else None
    tokenizer = build_tokenizer(options.tokenizer, (cut.supervisions[0].text for cut in training))
    training, held_out = readable(training, tokenizer), held_out and readable(held_out, tokenizer)
    settings = AcousticSettings(
        options.features, options.acoustic, options.augmentation.masks, options.augmentation.waveform, options.trainer
    )
    model, summary = train_acoustic(fabric, settings, tokenizer, training, held_out, run.checkpoints / "acoustic")
    if fabric.is_global_zero:
        save_acoustic(run.acoustic, model, tokenizer, summary)
        figures = {key: value for key, value in summary.items() if key not in ("history", "left_out")}
        kept = summary["best_epoch"] if options.trainer.keep == "best" else summary["epochs"]
        run.update_metrics("acoustic", figures | summary["history"][kept - 1])
    return corpus


def decode(options: SpeechOptions, corpus: Prepared, run: Run) -> None:
    """Turns the test part into words, or dev where there is no test part, and counts the errors."""
    parts = {"test": corpus.test, "dev": corpus.dev}
    split = options.decode.split if parts[options.decode.split] else "dev"
    path = parts[split]
    if path is None:
        raise UserError(f"The corpus has no {options.decode.split} part to decode; leave decode out of stages=[...].")
    transcriber = Transcriber.load(run.acoustic, options.trainer.device)
    began = time.monotonic()
    rows = []
    for batch in batches_of(examples(CutSet.from_file(path)), options.decode.batch_seconds):
        heard, waveforms = load_all(batch, lambda example: example.load(transcriber.sampling_rate))
        for example, transcript in zip(heard, transcriber.decode(waveforms), strict=True):
            rows.append({**row(example.id, transcript, example.text), "audio": str(example.audio)})
    elapsed = time.monotonic() - began
    seconds = sum(row["duration"] for row in rows)
    write_rows(run.hypotheses, sorted(rows, key=lambda row: row["id"]))
    figures = {**score(rows), "split": split, "audio_seconds": seconds, "rtf": elapsed / seconds}
    run.update_metrics("decode", {"greedy": figures})
    low, high = figures["wer_ci95"]
    logger.info(
        "%s: WER %.2f %% (95 %% interval %.2f to %.2f), CER %.2f %%, %d utterances, %.0f times real time",
        *(split, 100 * figures["wer"], 100 * low, 100 * high, 100 * figures["cer"]),
        *(figures["utterances"], seconds / elapsed),
    )
