"""The stages of speech to text: prepare a corpus, train the models, tune, decode, report."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from lhotse import CutSet

from speechrnn.audio.augmentation import SpecAugmentOptions, WaveformOptions
from speechrnn.audio.features import ChannelOptions
from speechrnn.core.errors import UserError, keys_below
from speechrnn.core.files import short_path
from speechrnn.core.model_names import find_model_directory
from speechrnn.data.corpora import CorpusOptions
from speechrnn.data.corpora.prepare import Prepared, prepare
from speechrnn.data.texts import TextOptions, text_options, text_parts
from speechrnn.data.texts.prepare import normalised
from speechrnn.data.training_facts import TrainingFacts
from speechrnn.decoding.decoder import Decoder
from speechrnn.decoding.fusion import DecodingOptions, with_model_directories
from speechrnn.decoding.model_facts import update_facts
from speechrnn.decoding.ngram.arpa import write_arpa
from speechrnn.decoding.ngram.kneser_ney import kneser_ney
from speechrnn.decoding.tuned_weights import read_tuned, system_name
from speechrnn.decoding.tuning import TuningOptions
from speechrnn.experiments.decoding import decode_cuts, decoder_of, record_errors
from speechrnn.experiments.run import Run, is_first_process
from speechrnn.experiments.text_prediction import LanguageModelOptions, train_model
from speechrnn.experiments.tuning import save_trained, tune_systems
from speechrnn.nn.acoustic import AcousticModel, load_acoustic
from speechrnn.reports.speech import write_report
from speechrnn.text.normalisation import NormalisationOptions
from speechrnn.text.tokenizers import (
    SubwordTokenizer,
    Tokenizer,
    TokenizerOptions,
    WordTokenizer,
    build_tokenizer,
)
from speechrnn.training.acoustic import train_acoustic
from speechrnn.training.acoustic_options import AcousticSettings
from speechrnn.training.defaults import (
    AutoAcousticOptions,
    AutoFeatureOptions,
    AutoTrainerOptions,
    Choice,
    Machine,
    TrainingAudio,
    choose,
)
from speechrnn.training.fabric import make_fabric
from speechrnn.training.initialisation import InitialModel
from speechrnn.training.selection import select_encodable
from speechrnn.transcription.hypotheses import write_rows
from speechrnn.transcription.transcriber import Transcriber

PREDICTION = ("language", "trainer", "tokenizer", "normalisation")  # groups of keys below `prediction`


@dataclass(frozen=True)
class Augmentation:
    """The config group `augmentation`."""

    masks: SpecAugmentOptions
    waveform: WaveformOptions
    channel: ChannelOptions


@dataclass(frozen=True)
class DecodeOptions:
    """The config group `decode`."""

    split: Literal["dev", "test"] = "test"
    batch_seconds: float = field(default=120.0, metadata={"min": 0.1})


@dataclass(frozen=True)
class SpeechOptions:
    """The keys of conf/speech_to_text.yaml, but for the corpus and the run's folder.

    >>> options = options_from(config, SpeechOptions)  # config: of conf/speech_to_text.yaml  # doctest: +SKIP
    """

    features: AutoFeatureOptions
    tokenizer: TokenizerOptions
    acoustic: AutoAcousticOptions
    augmentation: Augmentation
    trainer: AutoTrainerOptions
    normalisation: NormalisationOptions
    decoding: DecodingOptions
    init_from: str | None
    language_model: Path | None
    extra_text: tuple[Path, ...]
    ngram_order: int = field(metadata={"min": 1})
    prediction: LanguageModelOptions
    tuning: TuningOptions
    decode: DecodeOptions


class SpeechToText:
    """An experiment of speech to text: its stages, each of which uses what those before left in the run's folder.

    >>> experiment = SpeechToText(options, corpus_options(config.corpus), run)  # doctest: +SKIP
    >>> experiment.train()  # doctest: +SKIP
    """

    def __init__(self, options: SpeechOptions, source: CorpusOptions, run: Run) -> None:
        """
        Args:
            source: where the corpus comes from.
            run: the folder that the stages read and write.
        """
        model = options.language_model and find_model_directory(options.language_model, "language")
        decoding = with_model_directories(options.decoding)
        self.options = replace(options, language_model=model, decoding=decoding)
        self.source = source
        self.run = run
        self._corpus: Prepared | None = None

    def prepare(self) -> Prepared:
        """Prepare the corpus in the run's folder, once; return its parts."""
        if self._corpus is None:
            self._corpus = prepare(self.source, self.run.prepared, self.options.normalisation)
        return self._corpus

    def train(self) -> None:
        """Train the acoustic model to the end; the model directory holds the best so far from the first epoch on.

        Every process of a distributed training calls it.

        Raises:
            UserError: the corpus has no training part.
        """
        options, run = self.options, self.run
        fabric = make_fabric(options.trainer, run.events / "acoustic")
        if fabric.is_global_zero:
            self.prepare()
        fabric.barrier()  # the other processes find what the first has prepared
        corpus = self.prepare()
        if corpus.train is None:
            raise UserError(
                f"The corpus {self.source.name} has no training part; {run.prepared}/summary.json says why."
            )
        if options.init_from is None and options.trainer.frozen_layers:
            raise UserError(
                "trainer.frozen_layers keeps layers of a trained model: add init_from=MODEL, or leave it out."
            )
        initial = InitialModel.load(options.init_from) if options.init_from is not None else None
        training = CutSet.from_file(corpus.train).to_eager()
        held_out = CutSet.from_file(corpus.dev).to_eager() if corpus.dev else None
        texts = [cut.supervisions[0].text for cut in training]
        build = initial.choose_tokenizer if initial is not None else build_tokenizer
        tokenizer = build(options.tokenizer, texts)
        tokenizer.normalisation = options.normalisation  # travels with the model
        training, held_out = select_encodable(training, tokenizer), held_out and select_encodable(held_out, tokenizer)
        if texts and len(training) == 0:
            raise UserError(
                f"The labels of tokenizer={tokenizer.kind} can write none of the {len(texts)} transcripts, such as "
                f"{texts[0][:40]!r}; look at tokenizer.{'pronunciations' if tokenizer.kind == 'phone' else 'alphabet'}."
            )
        if fabric.is_global_zero and tokenizer.kind == "phone" and not self._finds_words():
            run.log(
                "The labels are phones, and without a language model of words, words that sound alike are the first of "
                "their kind in the dictionary: add decoding=beam prediction.tokenizer=word."
            )
        choice = self.choose(
            training, held_out, tokenizer, gpu=fabric.device.type == "cuda", processes=fabric.world_size
        )
        if fabric.is_global_zero:
            for reason in choice.reasons:
                run.log(reason)
        settings = AcousticSettings(
            initial.features(choice.features) if initial else choice.features,
            initial.architecture(choice.acoustic) if initial else choice.acoustic,
            options.augmentation.masks,
            waveform=options.augmentation.waveform,
            trainer=choice.trainer,
            channel=options.augmentation.channel,
        )

        def save(model: AcousticModel, summary: dict[str, Any]) -> None:
            save_trained(run.acoustic, model, tokenizer, summary=summary)

        folder = run.checkpoints / "acoustic"
        model, summary = train_acoustic(
            fabric,
            settings,
            tokenizer,
            train=training,
            dev=held_out,
            folder=folder,
            save=save,
            initial=initial,
            chosen=choice.chosen,
        )
        if fabric.is_global_zero:
            save(model, summary)
            update_facts(run.acoustic, self._training_facts(training))
            figures = {key: value for key, value in summary.items() if key not in ("history", "left_out")}
            epoch = summary["best_epoch"] if options.trainer.keep == "best" else summary["epochs"]
            if run.read_metrics().get("acoustic", {}).get("steps") != summary["steps"]:
                run.forget_metrics("tuning", "decode")
            run.update_metrics("acoustic", figures | summary["history"][epoch - 1])

    def choose(self, train: CutSet, dev: CutSet | None, tokenizer: Tokenizer, gpu: bool, processes: int) -> Choice:
        """Choose a value for each option that is `auto`.

        Args:
            train, dev: the parts of the corpus.
            tokenizer: the alphabet.
            gpu: whether the network is trained on GPUs.
            processes: of the training, on all machines.
        """
        options = self.options
        return choose(
            options.features,
            options.acoustic,
            options.trainer,
            audio=TrainingAudio.of(train, dev),
            machine=Machine.here(gpu, options.trainer.devices),
            speeds=options.augmentation.waveform.speeds,
            processes=processes,
            subwords=isinstance(tokenizer, (SubwordTokenizer, WordTokenizer)),
            initial=options.init_from is not None,
        )

    def train_language(self) -> None:
        """Make the language models of the beam search from the training transcripts and the extra text.

        An n-gram model of the acoustic model's labels, as a baseline, and the recurrent one, unless one is given.
        Without a beam search there is nothing to do.
        """
        options, run = self.options, self.run
        if options.decoding.name == "greedy":
            return
        source = self.language_text()
        if is_first_process():
            self.prepare()
            tokenizer = load_acoustic(run.acoustic)[1]
            texts = (line.text for line in normalised(text_parts(source)["train"].lines(), options.normalisation))
            lines = [tokenizer.encode(text) for text in texts if not tokenizer.count_unknown(text)]
            write_arpa(run.ngram, kneser_ney(lines, tokenizer.symbols, options.ngram_order))
        if options.language_model is None:
            with keys_below("prediction", PREDICTION):
                train_model(options.prediction, source, run, replace_other=True)

    def language_text(self) -> TextOptions:
        """Return the language model's text: the run's transcripts, each read from the start as the decoder does."""
        extra = [str(path) for path in self.options.extra_text]
        return text_options({"name": "transcripts", "root": str(self.run.folder), "documents": True, "extra": extra})

    def tune(self) -> None:
        """Tune the weights of the language models and the confidences on the dev part.

        The result is written beside the acoustic model's weights, with facts.json: what the model was trained on, and
        its uncertainty on the dev part. With greedy decoding, only confidences are calibrated.

        Raises:
            UserError: the corpus has no dev part, and a beam search is to be tuned.
        """
        options, run = self.options, self.run
        corpus = self.prepare()
        if corpus.dev is None:
            if options.decoding.name == "greedy":
                return
            raise UserError("The corpus has no dev part to tune on; leave tune out of stages=[...].")
        results = tune_systems(
            self._transcriber(),
            self._wanted(),
            run.acoustic,
            dev=corpus.dev,
            tuning=options.tuning,
            batch_seconds=options.decode.batch_seconds,
            training=self._training_facts(CutSet.from_file(corpus.train)) if corpus.train else None,
        )
        for name, tuned in results.items():
            run.update_metrics("tuning", {name: asdict(tuned)})

    def decode(self) -> None:
        """Decode the test part, or dev where there is no test part, with every system, and count the errors.

        Raises:
            UserError: the corpus has neither part, or there is no model.
        """
        options, run, corpus = self.options, self.run, self.prepare()
        parts = {"test": corpus.test, "dev": corpus.dev}
        split = options.decode.split if parts[options.decode.split] else "dev"
        path = parts[split]
        if path is None:
            raise UserError(
                f"The corpus has no {options.decode.split} part to decode; leave decode out of stages=[...]."
            )
        transcriber = self._transcriber()
        systems = self._systems(transcriber)
        rows, elapsed = decode_cuts(transcriber, systems, path, batch_seconds=options.decode.batch_seconds)
        for name in systems:
            record_errors(run, name, rows[name], split=split, elapsed=elapsed[name])
        # The report shows the last system, beside the hypotheses of the network without a language model.
        last = rows[list(systems)[-1]]
        if len(systems) > 1:
            greedy = {row["id"]: row["hypothesis"] for row in rows["greedy"]}
            last = [{**row, "greedy": greedy[row["id"]]} for row in last]
        write_rows(run.hypotheses, sorted(last, key=lambda row: row["id"]))

    def report(self) -> None:
        """Write report.html."""
        self.run.log(f"Report: {short_path(write_report(self.run.folder))}")

    def _finds_words(self) -> bool:
        """Return whether the beam search has a language model of words, or one of the user's."""
        options = self.options
        given = options.language_model is not None or options.decoding.ngram is not None
        return options.decoding.name == "beam" and (given or options.prediction.tokenizer.kind == "word")

    def _training_facts(self, training: CutSet) -> TrainingFacts:
        waveform, channel = self.options.augmentation.waveform, self.options.augmentation.channel
        narrow_band = channel.narrow_share > 0 or (waveform.codec_share > 0 and set(waveform.codecs) != {"mp3"})
        return TrainingFacts.of(training, narrow_band, self.options.init_from)

    def _transcriber(self) -> Transcriber:
        return Transcriber.load(self.run.acoustic, self.options.trainer.device, precision="float32")

    def _wanted(self) -> list[tuple[DecodingOptions, Path | None]]:
        """Return the options and the language model of each system that the run compares.

        Greedy; and for a beam search one with the n-gram model, and one with the language model.
        """
        options, run = self.options, self.run
        wanted: list[tuple[DecodingOptions, Path | None]] = [(DecodingOptions(), None)]
        if options.decoding.name == "beam":
            if run.ngram.is_file():
                wanted.append((replace(options.decoding, ngram=run.ngram), None))
            wanted.append((options.decoding, options.language_model or run.language))
        return wanted

    def _systems(self, transcriber: Transcriber) -> dict[str, Decoder]:
        """Return the decoders that the run compares, by name; the last one is that of the run's configuration."""
        tuned = read_tuned(self.run.acoustic)
        return {
            system_name(decoding, model): decoder_of(transcriber, decoding, model, tuned=tuned)
            for decoding, model in self._wanted()
        }
