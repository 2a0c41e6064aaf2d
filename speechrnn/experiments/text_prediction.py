"""The stages of text prediction: prepare a text, train a language model on it, score it, sample from it, report."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from speechrnn.core.device import find_device
from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write, short_path
from speechrnn.data.fingerprint import fingerprint_tokenizer
from speechrnn.data.texts import TextOptions
from speechrnn.data.texts.prepare import PreparedText, prepare_text
from speechrnn.data.tokens import TokenFile
from speechrnn.decoding.ngram.arpa import write_arpa
from speechrnn.decoding.ngram.estimation import NgramOptions, estimate, perplexity
from speechrnn.decoding.ngram.quantised import quantise, write_quantised
from speechrnn.evaluation.adaptation import AdaptationOptions, adapted_figures
from speechrnn.evaluation.perplexity import score_text
from speechrnn.experiments.run import Run
from speechrnn.generation.predictor import TextPredictor
from speechrnn.nn.language import LanguageModel, LanguageOptions, load_language, save_language
from speechrnn.reports.text import write_text_report
from speechrnn.text.normalisation import NormalisationOptions
from speechrnn.text.tokenizers import TokenizerOptions
from speechrnn.training.defaults import AutoLanguageTrainerOptions
from speechrnn.training.fabric import make_fabric
from speechrnn.training.initial_language import InitialLanguage
from speechrnn.training.language import train_language

logger = logging.getLogger("speechrnn")


@dataclass(frozen=True)
class ScoreOptions:
    """The config group `score`."""

    split: Literal["valid", "test"] = "test"
    cache: bool = False
    dynamic: bool = False


@dataclass(frozen=True)
class SampleOptions:
    """The config group `sample`."""

    prompts: tuple[str, ...] = ("",)
    temperatures: tuple[float, ...] = field(default=(0.5, 0.8, 1.0), metadata={"min": 0.0})
    max_new_tokens: int = field(default=200, metadata={"min": 1})
    seed: int = field(default=0, metadata={"min": 0})


@dataclass(frozen=True)
class LanguageModelOptions:
    """The keys of a language model and of its training."""

    normalisation: NormalisationOptions
    tokenizer: TokenizerOptions
    language: LanguageOptions
    trainer: AutoLanguageTrainerOptions


@dataclass(frozen=True, kw_only=True)
class TextPredictionOptions(LanguageModelOptions):
    """The keys of conf/text_prediction.yaml, but for the text and the run's folder.

    >>> options = options_from(config, TextPredictionOptions)  # config: of conf/text_prediction.yaml  # doctest: +SKIP
    """

    init_from: str | None = None
    ngram: NgramOptions = field(default_factory=NgramOptions)  # the demo makes none
    score: ScoreOptions
    adaptation: AdaptationOptions
    sample: SampleOptions


def train_model(
    options: LanguageModelOptions,
    source: TextOptions,
    run: Run,
    replace_other: bool = False,
    initial: InitialLanguage | None = None,
) -> PreparedText:
    """Prepare a text, train a language model on it to the end, and write the model directory.

    Every process of a distributed training calls it.

    Args:
        replace_other: where the run holds a language model of other options or another text, train anew.
        initial: the model whose weights the training begins with; None: random ones.

    Returns:
        The prepared text.
    """
    fabric = make_fabric(options.trainer, run.events / "language")
    vocabulary = initial.tokenizer if initial is not None else None
    if fabric.is_global_zero:
        prepare_text(source, options.tokenizer, options.normalisation, folder=run.prepared_text, initial=vocabulary)
    fabric.barrier()  # the other processes find what the first has prepared
    text = prepare_text(source, options.tokenizer, options.normalisation, folder=run.prepared_text, initial=vocabulary)

    def save(model: LanguageModel, summary: dict[str, Any]) -> None:
        # Prompts are normalised as the training text was, and go on after a line end where that text did.
        summary |= {"normalisation": asdict(options.normalisation), "documents": source.documents}
        save_language(run.language, model, text.tokenizer, training=summary)

    model, summary = train_language(
        fabric,
        options.language if initial is None else initial.architecture(options.language),
        options.trainer.chosen(),
        tokenizer=text.tokenizer,
        train=TokenFile.open(text.train),
        valid=TokenFile.open(text.valid) if text.valid else None,
        documents=source.documents,
        folder=run.checkpoints / "language",
        save=save,
        replace_other=replace_other,
        initial=initial,
    )
    if fabric.is_global_zero:
        save(model, summary)
        kept = summary["best_epoch"] if options.trainer.keep == "best" else summary["epochs"]
        figures = {key: value for key, value in summary.items() if key not in ("history", "normalisation", "documents")}
        if run.read_metrics().get("language", {}).get("training", {}).get("steps") != summary["steps"]:
            run.forget_metrics("language", "tuning", "decode")
        run.update_metrics("language", {"training": figures | summary["history"][kept - 1]})
    return text


class TextPrediction:
    """An experiment of text prediction: its stages, each of which uses what those before left in the run's folder.

    >>> experiment = TextPrediction(options, text_options(config.text), run)  # doctest: +SKIP
    >>> experiment.train()  # doctest: +SKIP
    """

    def __init__(self, options: TextPredictionOptions, source: TextOptions, run: Run) -> None:
        """
        Args:
            source: where the text comes from.
            run: the folder that the stages read and write.
        """
        self.options = options
        self.source = source
        self.run = run
        self._text: PreparedText | None = None
        self._initial = InitialLanguage.load(options.init_from) if options.init_from is not None else None

    def prepare(self) -> PreparedText:
        """Normalise the text and turn it into tokens in the run's folder, once; return the files."""
        if self._text is None:
            options = self.options
            vocabulary = self._initial.tokenizer if self._initial is not None else None
            self._text = prepare_text(
                self.source, options.tokenizer, options.normalisation, folder=self.run.prepared_text, initial=vocabulary
            )
        return self._text

    def train(self) -> None:
        """Train the language model to the end, and write the model directory; see `train_model`."""
        self._text = train_model(self.options, self.source, self.run, initial=self._initial)

    def estimate_ngram(self) -> None:
        """Estimate an n-gram model of the training part, prune it, and write it as ngram.arpa.gz or ngram.q8.

        Writes its sizes and its perplexity on the validation part into the section `ngram` of metrics.json.
        """
        run, text = self.run, self.prepare()
        ngrams = estimate(TokenFile.open(text.train).lines(), text.tokenizer.symbols, self.options.ngram)
        if self.options.ngram.format == "q8":
            path, other, ngrams = run.ngram_quantised, run.ngram_packed, quantise(ngrams)
            write_quantised(path, ngrams)
        else:
            path, other = run.ngram_packed, run.ngram_quantised
            write_arpa(path, ngrams)
        other.unlink(missing_ok=True)  # of the same command with another format
        figures: dict[str, Any] = {
            "ngrams": [len(words) for words in ngrams.words],
            "bytes": path.stat().st_size,
            "perplexity": perplexity(ngrams, TokenFile.open(text.valid).lines()) if text.valid else None,
        }
        run.update_metrics("ngram", figures)
        logger.info(
            "%s: %s n-grams of orders 1 to %d, %.1f MB%s",
            path,
            " + ".join(f"{count:,}" for count in figures["ngrams"]),
            ngrams.order,
            figures["bytes"] / 1e6,
            f", perplexity {figures['perplexity']:.2f} on the validation part" if text.valid else "",
        )

    def score(self) -> None:
        """Measure perplexity and bits per character on the test part, or on the validation part where there is none.

        Writes the figures into the section `language` of metrics.json.

        Raises:
            UserError: no such part, no model, or a model with another tokenizer than that of the text.
        """
        options, run, text = self.options, self.run, self.prepare()
        parts = {"test": text.test, "valid": text.valid}
        split = options.score.split if parts[options.score.split] else "valid"
        path = parts[split]
        if path is None:
            raise UserError(f"The text has no {options.score.split} part to score; leave score out of stages=[...].")
        model, tokenizer = load_language(run.language)
        if fingerprint_tokenizer(tokenizer) != fingerprint_tokenizer(text.tokenizer):
            raise UserError(
                f"{run.language} was trained with another tokenizer than the one of the prepared text, so its tokens "
                "mean something else: add train to stages=[...] with restart=true, or score the text with evaluate."
            )
        model = model.to(find_device(options.trainer.device))
        documents = bool(text.summary["options"]["documents"])
        tokens = TokenFile.open(path)
        figures: dict[str, Any] = {**score_text(model, tokens, documents=documents).figures(), "split": split}
        if options.score.cache:
            figures["cache"] = adapted_figures(model, tokens, options.adaptation.cache, documents=documents)
        if options.score.dynamic:
            figures["dynamic"] = adapted_figures(model, tokens, options.adaptation.dynamic, documents=documents)
        run.update_metrics("language", figures)
        rows: dict[str, dict[str, Any]] = {
            "model": figures,
            **{key: figures[key] for key in ("cache", "dynamic") if key in figures},
        }
        for name, row in rows.items():
            logger.info(
                "%s, %s: perplexity %.2f, %.4f nats a token, %.4f bits a character, %s tokens",
                split,
                name,
                row["perplexity"],
                row["nats_per_token"],
                row["bits_per_character"],
                f"{row['tokens']:,}",
            )

    def sample(self) -> None:
        """Write how the model continues each prompt at each temperature, into samples.jsonl.

        A model of separate documents was not trained beyond the end of a document, so its samples end there; other
        models go on after a line end.
        """
        options, run, text = self.options, self.run, self.prepare()
        documents = bool(text.summary["options"]["documents"])
        predictor = TextPredictor.load(run.language, options.trainer.device)
        wanted = options.sample
        rows: list[dict[str, Any]] = []
        for temperature in wanted.temperatures:
            results = predictor.generate(
                list(wanted.prompts),
                max_new_tokens=wanted.max_new_tokens,
                temperature=temperature,
                ignore_eos=not documents,
                seed=wanted.seed,
            )
            for prompt, result in zip(wanted.prompts, results, strict=True):
                rows.append({"prompt": prompt, "temperature": temperature, "text": result.completions[0].text})
            logger.info(
                "At temperature %g: %s", temperature, (wanted.prompts[-1] + results[-1].completions[0].text)[:200]
            )
        with atomic_write(run.samples) as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def report(self) -> None:
        """Write report.html."""
        self.run.log(f"Report: {short_path(write_text_report(self.run.folder))}")
