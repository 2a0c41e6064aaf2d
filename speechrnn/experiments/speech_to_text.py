"""The stages of speech to text, for recipes to string together."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from lhotse import CutSet
from omegaconf import DictConfig, OmegaConf

from speechrnn.audio.augmentation import SpecAugmentOptions, WaveformOptions
from speechrnn.audio.features import FeatureOptions
from speechrnn.core.config import build
from speechrnn.core.errors import UserError
from speechrnn.data.corpora import CorpusOptions
from speechrnn.data.corpora.prepare import Prepared, prepare
from speechrnn.data.dataset import batch_by_length, examples, load_all
from speechrnn.data.texts import TextOptions, text_options, text_parts
from speechrnn.data.texts.prepare import normalised
from speechrnn.decoding.confidence import expected_calibration_error
from speechrnn.decoding.decoder import BeamDecoder, Decoder, make_decoder, system_name
from speechrnn.decoding.fusion import DecodingOptions
from speechrnn.decoding.ngram.arpa import write_arpa
from speechrnn.decoding.ngram.kneser_ney import kneser_ney
from speechrnn.decoding.tuned_weights import TunedDecoding, read_tuned, write_tuned
from speechrnn.decoding.tuning import Emission, TuningOptions, correct_words
from speechrnn.decoding.tuning import tune as search_weights
from speechrnn.evaluation.metrics import score
from speechrnn.experiments import text_prediction as prediction
from speechrnn.experiments.run import Run, is_first_process
from speechrnn.experiments.text_prediction import LanguageModelOptions
from speechrnn.nn.acoustic import AcousticOptions, load_acoustic, save_acoustic
from speechrnn.text.normalisation import NormalisationOptions
from speechrnn.text.tokenizers import TokenizerOptions, build_tokenizer
from speechrnn.training.acoustic import AcousticSettings, AcousticTrainerOptions, select_encodable, train_acoustic
from speechrnn.training.fabric import make_fabric
from speechrnn.transcription.hypotheses import row, write_rows
from speechrnn.transcription.transcriber import Transcriber

DEV = "cuts_dev.jsonl.gz"

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
    decoding: DecodingOptions
    language_model: Path | None
    extra_text: tuple[Path, ...]
    ngram_order: int = field(metadata={"min": 1})
    prediction: LanguageModelOptions
    tuning: TuningOptions
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
    training, held_out = select_encodable(training, tokenizer), held_out and select_encodable(held_out, tokenizer)
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


def train_language(options: SpeechOptions, run: Run) -> None:
    """Makes the language models that the beam search asks, from the training transcripts and whatever text is added.

    An n-gram model of the acoustic model's labels, as a baseline, and the recurrent one, unless another is given.
    """
    if options.decoding.name == "greedy":
        return
    source = language_text(options, run)
    if is_first_process():
        tokenizer = load_acoustic(run.acoustic)[1]
        texts = (line.text for line in normalised(text_parts(source)["train"].lines(), options.normalisation))
        lines = [tokenizer.encode(text) for text in texts if not tokenizer.count_unknown(text)]
        write_arpa(run.ngram, kneser_ney(lines, tokenizer.symbols, options.ngram_order))
    if options.language_model is None:
        prediction.train(options.prediction, source, run)


def language_text(options: SpeechOptions, run: Run) -> TextOptions:
    """The text of the language model: the run's transcripts, each read from the start as the decoder does."""
    extra = [str(path) for path in options.extra_text]
    return text_options({"name": "transcripts", "root": str(run.folder), "documents": True, "extra": extra})


def tune(options: SpeechOptions, corpus: Prepared, run: Run) -> None:
    """Weighs the language models, and calibrates confidences, on the dev part; into the acoustic model's directory."""
    if options.decoding.name == "greedy":
        return
    if corpus.dev is None:
        raise UserError("The corpus has no dev part to tune on; leave tune out of stages=[...].")
    transcriber = Transcriber.load(run.acoustic, options.trainer.device, precision="float32")
    emissions = emit(transcriber, corpus.dev, options.decode.batch_seconds)
    found = read_tuned(run.acoustic)
    for name, decoder in decoders(options, run, transcriber).items():
        if isinstance(decoder, BeamDecoder):
            logger.info("Tuning the decoding called %s", name)
            found[name] = search_weights(decoder, emissions, options.tuning)
            run.update_metrics("tuning", {name: asdict(found[name])})
    write_tuned(run.acoustic, found)


def tune_model(
    run: Path,
    decoding: DecodingOptions,
    language_model: Path | None,
    tuning: TuningOptions,
    device: str,
    batch_seconds: float,
) -> TunedDecoding:
    """As `tune`, for one way of decoding and the folder of a run, whatever its configuration.

    Raises:
        UserError: no dev part there; see `make_decoder`.
    """
    path, model = run / "prepared" / DEV, run / "acoustic"
    if not path.is_file():
        raise UserError(
            f"run={run} holds no prepared/{DEV}; give the folder of a run of speech_to_text with a dev part."
        )
    transcriber = Transcriber.load(model, device, precision="float32")
    found = read_tuned(model)
    fit = transcriber.tokenizer, transcriber.model.seconds_per_frame, found, transcriber.device
    decoder = make_decoder(decoding, language_model, *fit)
    if not isinstance(decoder, BeamDecoder):
        raise UserError("decoding=greedy has nothing to tune; use decoding=beam.")
    tuned = search_weights(decoder, emit(transcriber, path, batch_seconds), tuning)
    write_tuned(model, {**found, system_name(decoding, language_model): tuned})
    return tuned


def emit(transcriber: Transcriber, cuts: Path, batch_seconds: float) -> list[Emission]:
    """What the acoustic model gives for each utterance of a prepared part."""
    emissions = []
    for batch in batch_by_length(examples(CutSet.from_file(cuts)), batch_seconds):
        heard, waveforms = load_all(batch, lambda example: example.load(transcriber.sampling_rate))
        log_probs, frames = transcriber.compute_emissions(waveforms)
        rows = zip(heard, log_probs, frames.tolist(), strict=True)
        emissions += [Emission(row[:count], example.text) for example, row, count in rows]
    return emissions


def decoders(options: SpeechOptions, run: Run, transcriber: Transcriber) -> dict[str, Decoder]:
    """The ways of decoding that a run compares, by name: greedy, and where a beam is wanted, n-gram and language model.

    The last one is what the run is about.
    """
    wanted: list[tuple[DecodingOptions, Path | None]] = [(DecodingOptions(), None)]
    if options.decoding.name == "beam":
        if run.ngram.is_file():
            wanted.append((replace(options.decoding, ngram=run.ngram), None))
        wanted.append((options.decoding, options.language_model or run.language))
    tuned = read_tuned(run.acoustic)
    fit = transcriber.tokenizer, transcriber.model.seconds_per_frame, tuned, transcriber.device
    return {system_name(one, model): make_decoder(one, model, *fit) for one, model in wanted}


def decode(options: SpeechOptions, corpus: Prepared, run: Run) -> None:
    """Turns the test part into words, or dev where there is no test part, and counts the errors."""
    parts = {"test": corpus.test, "dev": corpus.dev}
    split = options.decode.split if parts[options.decode.split] else "dev"
    path = parts[split]
    if path is None:
        raise UserError(f"The corpus has no {options.decode.split} part to decode; leave decode out of stages=[...].")
    transcriber = Transcriber.load(run.acoustic, options.trainer.device, precision="float32")
    systems = decoders(options, run, transcriber)
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in systems}
    listening, deciding = 0.0, dict.fromkeys(systems, 0.0)  # seconds
    for batch in batch_by_length(examples(CutSet.from_file(path)), options.decode.batch_seconds):
        began = time.monotonic()
        heard, waveforms = load_all(batch, lambda example: example.load(transcriber.sampling_rate))
        log_probs, frames = transcriber.compute_emissions(waveforms)
        listening += time.monotonic() - began
        for name, decoder in systems.items():
            began = time.monotonic()
            found = decoder(log_probs, frames)
            deciding[name] += time.monotonic() - began
            for example, samples, one in zip(heard, waveforms, found, strict=True):
                transcript = transcriber.transcript("", len(samples) / transcriber.sampling_rate, one, name)
                line = row(example.id, transcript, example.text)
                rows[name].append({**line, "audio": str(example.audio)})
    for name in systems:
        report_errors(run, name, rows[name], split, listening + deciding[name])
    # What the report is about comes last, with what the network alone would have said.
    alone = {one["id"]: one["hypothesis"] for one in rows["greedy"]}
    last = rows[list(systems)[-1]]
    if len(systems) > 1:
        last = [{**one, "greedy": alone[one["id"]]} for one in last]
    write_rows(run.hypotheses, sorted(last, key=lambda one: one["id"]))


def report_errors(run: Run, name: str, rows: list[dict[str, Any]], split: str, elapsed: float) -> None:
    """The error rates of one way of decoding, into metrics.json and to whoever watches."""
    seconds = sum(one["duration"] for one in rows)
    sure = [word["confidence"] for one in rows for word in one["words"]]
    right = [mark for one in rows for mark in correct_words(one["reference"], one["hypothesis"])]
    figures = {
        **score(rows),
        "calibration_error": expected_calibration_error(sure, right),
        "split": split,
        "audio_seconds": seconds,
        "rtf": elapsed / seconds,
    }
    run.update_metrics("decode", {name: figures})
    low, high = figures["wer_ci95"]
    logger.info(
        "%s, %s: WER %.2f %% (95 %% interval %.2f to %.2f), CER %.2f %%, %d utterances, %.0f times real time",
        *(split, name, 100 * figures["wer"], 100 * low, 100 * high, 100 * figures["cer"]),
        *(figures["utterances"], seconds / elapsed),
    )
