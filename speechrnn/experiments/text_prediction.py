"""The stages of text prediction, for recipes to string together."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, TypeVar

from omegaconf import DictConfig, OmegaConf

from speechrnn.core.config import build
from speechrnn.core.device import find_device
from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write
from speechrnn.data.texts import TextOptions
from speechrnn.data.texts.prepare import PreparedText, prepare_text
from speechrnn.data.tokens import TokenFile
from speechrnn.evaluation.adaptation import AdaptationOptions, adapted_figures
from speechrnn.evaluation.perplexity import score_text
from speechrnn.experiments.run import Run
from speechrnn.generation.predictor import TextPredictor
from speechrnn.nn.language import LanguageOptions, load_language, save_language
from speechrnn.text.normalisation import NormalisationOptions
from speechrnn.text.tokenizers import TokenizerOptions
from speechrnn.training.fabric import make_fabric
from speechrnn.training.language import LanguageTrainerOptions, train_language

logger = logging.getLogger("speechrnn")
OptionsT = TypeVar("OptionsT", bound="TextPredictionOptions")


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
    """What a language model is, and how it is trained."""

    normalisation: NormalisationOptions
    tokenizer: TokenizerOptions
    language: LanguageOptions
    trainer: LanguageTrainerOptions


@dataclass(frozen=True)
class TextPredictionOptions(LanguageModelOptions):
    """What conf/text_prediction.yaml explains, but for the text and the run's folder."""

    score: ScoreOptions
    adaptation: AdaptationOptions
    sample: SampleOptions

    @classmethod
    def from_config(cls: type[OptionsT], config: DictConfig) -> OptionsT:
        """Raises UserError for a key or a value that does not fit."""
        return build(cls, OmegaConf.masked_copy(config, [key.name for key in fields(cls)]), "")


def train(options: LanguageModelOptions, source: TextOptions, run: Run) -> PreparedText:
    """Prepares the text, trains to the end, and writes the model directory; several processes may be at it."""
    fabric = make_fabric(options.trainer, run.events / "language")
    if fabric.is_global_zero:
        prepare_text(source, options.tokenizer, options.normalisation, run.prepared_text)
    fabric.barrier()  # the other processes find what the first has prepared
    text = prepare_text(source, options.tokenizer, options.normalisation, run.prepared_text)
    model, summary = train_language(
        *(fabric, options.language, options.trainer, text.tokenizer),
        *(TokenFile.open(text.train), TokenFile.open(text.valid) if text.valid else None, source.documents),
        run.checkpoints / "language",
    )
    if fabric.is_global_zero:
        # Other texts that the model reads shall be normalised alike.
        summary["normalisation"] = asdict(options.normalisation)
        save_language(run.language, model, text.tokenizer, summary)
        kept = summary["best_epoch"] if options.trainer.keep == "best" else summary["epochs"]
        figures = {key: value for key, value in summary.items() if key not in ("history", "normalisation")}
        run.update_metrics("language", {"training": figures | summary["history"][kept - 1]})
    return text


def score(options: TextPredictionOptions, text: PreparedText, run: Run) -> None:
    """Perplexity and bits per character of the test part, or of the validation part where there is no test part."""
    parts = {"test": text.test, "valid": text.valid}
    split = options.score.split if parts[options.score.split] else "valid"
    path = parts[split]
    if path is None:
        raise UserError(f"The text has no {options.score.split} part to score; leave score out of stages=[...].")
    model = load_language(run.language)[0].to(find_device(options.trainer.device))
    documents = bool(text.summary["options"]["documents"])
    tokens = TokenFile.open(path)
    figures: dict[str, Any] = {**score_text(model, tokens, documents=documents).figures(), "split": split}
    if options.score.cache:
        figures["cache"] = adapted_figures(model, tokens, options.adaptation.cache, documents)
    if options.score.dynamic:
        figures["dynamic"] = adapted_figures(model, tokens, options.adaptation.dynamic, documents)
    run.update_metrics("language", figures)
    rows: dict[str, dict[str, Any]] = {
        "model": figures,
        **{key: figures[key] for key in ("cache", "dynamic") if key in figures},
    }
    for name, row in rows.items():
        logger.info(
            "%s, %s: perplexity %.2f, %.4f nats a token, %.4f bits a character, %s tokens",
            *(split, name, row["perplexity"], row["nats_per_token"], row["bits_per_character"]),
            f"{row['tokens']:,}",
        )


def sample(options: TextPredictionOptions, text: PreparedText, run: Run) -> None:
    """Lets the model go on from each prompt at each temperature, into samples.jsonl.

    A model of documents has never seen what follows one, and so ends there; any other goes on beyond its lines' ends.
    """
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
        logger.info("At temperature %g: %s", temperature, (wanted.prompts[-1] + results[-1].completions[0].text)[:200])
    with atomic_write(run.samples) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
