"""Read what a run of text prediction has left in its folder: metrics, samples, summaries. Every field is checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speechrnn.core.errors import UserError
from speechrnn.core.jsonio import read_json, read_rows
from speechrnn.core.model_names import DESCRIPTION
from speechrnn.reports.run_files import TrainingSummary, parse, read_config, read_training, select_group


@dataclass(frozen=True)
class LanguageMetrics:
    """Scores of a language model on a text, as metrics.json has them.

    Attributes:
        split: the part of the text.
        cache, dynamic: the same with a neural cache and under dynamic evaluation, with their constants.
    """

    perplexity: float | None = None
    bits_per_character: float | None = None
    nats_per_token: float | None = None
    split: str = ""
    characters: int | None = None
    cache: dict[str, float | None] | None = None
    dynamic: dict[str, float | None] | None = None


@dataclass(frozen=True)
class Sample:
    """A text that the model generated after a prompt."""

    prompt: str
    text: str
    temperature: float = 1.0


@dataclass(frozen=True)
class TextPart:
    """The size of a part of a text, in the units of the tokenizer and of readers."""

    lines: int | None = None
    documents: int | None = None
    tokens: int = 0
    characters: int | None = None
    unknown: int = 0


@dataclass(frozen=True)
class TokenizerSummary:
    """The tokenizer of a text."""

    kind: str = ""
    symbols: int = 0


@dataclass(frozen=True)
class TextSummary:
    """prepared/text/summary.json."""

    text: str = ""
    tokenizer: TokenizerSummary = TokenizerSummary()
    options: dict[str, Any] = field(default_factory=dict)
    splits: dict[str, TextPart] = field(default_factory=dict)


@dataclass(frozen=True)
class TextRun:
    """The contents of a run folder of text_prediction; empty where a part is missing.

    Attributes:
        metrics: None where the model was not scored.
        has_model: whether there is a language model.
        tokenizer: the model's kind of tokenizer; "" where it is not known.
        config: the text of config.yaml.
    """

    folder: Path
    metrics: LanguageMetrics | None
    samples: list[Sample]
    has_model: bool
    tokenizer: str
    training: TrainingSummary
    versions: dict[str, str]
    text: TextSummary
    config: str

    @property
    def reads_documents(self) -> bool:
        """Return whether each document is read from the start state."""
        return bool(self.text.options.get("documents"))

    @classmethod
    def read(cls, folder: Path) -> TextRun:
        """Read a run folder.

        Raises:
            UserError: there is nothing to report, or a file is damaged.
        """
        metrics = select_group(read_json(folder / "metrics.json"), "language", folder / "metrics.json")
        path = folder / "samples.jsonl"
        samples = [
            parse(Sample, row, path) for row in read_rows(path, ("prompt", "text"), "generate the samples again")
        ]
        description = read_json(folder / "language" / DESCRIPTION)
        if not (metrics or samples or description):
            raise UserError(
                f"There is nothing to report in {folder}: it has neither metrics.json nor samples.jsonl nor "
                f"language/{DESCRIPTION}; give the folder of a run."
            )
        training, versions = read_training(folder / "language" / DESCRIPTION, description)
        tokenizer = description.get("tokenizer")
        summary = folder / "prepared" / "text" / "summary.json"
        return cls(
            folder=folder,
            metrics=parse(LanguageMetrics, metrics, folder / "metrics.json", key="language") if metrics else None,
            samples=samples,
            has_model=bool(description),
            tokenizer=str(tokenizer.get("kind", "")) if isinstance(tokenizer, dict) else "",
            training=training,
            versions=versions,
            text=parse(TextSummary, read_json(summary), summary),
            config=read_config(folder),
        )
