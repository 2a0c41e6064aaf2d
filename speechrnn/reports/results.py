"""Read what a run has left in its folder: error rates, decoded utterances, summaries. Every field is checked."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from speechrnn.core.config import build
from speechrnn.core.errors import UserError
from speechrnn.core.jsonio import read_json, read_rows
from speechrnn.evaluation.metrics import DELETION, HIT, INSERTION, SUBSTITUTION, Edit, Errors, align, score
from speechrnn.nn.checkpoint import DESCRIPTION

T = TypeVar("T")


@dataclass(frozen=True)
class DecodingMetrics:
    """Error rates and speed of one way of decoding, as metrics.json has them.

    Attributes:
        wer, cer: word and character error rate, fractions.
        wer_ci95: ends of the 95 % interval of the WER.
        split: the part of the corpus that was decoded, such as "test".
        audio_seconds: length of the decoded recordings, seconds.
        rtf: real-time factor, decoding time over length.
    """

    wer: float | None = field(default=None, metadata={"min": 0.0})
    wer_ci95: tuple[float, ...] = field(default=(), metadata={"min": 0.0})
    cer: float | None = field(default=None, metadata={"min": 0.0})
    calibration_error: float | None = None
    split: str = ""
    utterances: int | None = field(default=None, metadata={"min": 0})
    words: int | None = field(default=None, metadata={"min": 0})
    audio_seconds: float | None = field(default=None, metadata={"min": 0.0})
    rtf: float | None = field(default=None, metadata={"min": 0.0})


@dataclass(frozen=True)
class ShortUtterance:
    """A training utterance with fewer frames than its text needs."""

    id: str = ""
    frames: int = 0
    needed: int = 0


@dataclass(frozen=True)
class TrainingSummary:
    """What model.json says about the training.

    Attributes:
        best_epoch: with the best result on dev; -1 without a dev part.
        seconds: time by kind of work.
        history: one record an epoch; what is missing or was not finite is None.
    """

    parameters: int = 0
    epochs: int = 0
    best_epoch: int = -1
    seconds: dict[str, float] = field(default_factory=dict)
    tokens_per_second: float | None = None
    history: tuple[dict[str, float | None], ...] = ()
    left_out: tuple[ShortUtterance, ...] = ()


@dataclass(frozen=True)
class Alternative:
    """One hypothesis of a beam search, with the scores that it is ranked by (natural logarithms)."""

    text: str = ""
    score: float = 0.0
    acoustic: float = 0.0
    parts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Utterance:
    """A line of hypotheses.jsonl.

    Attributes:
        start, duration: of the utterance in its file, seconds; a duration of 0 is unknown.
        greedy: the hypothesis of the acoustic model without a language model; None where it was not compared.
        alternatives: hypotheses of the beam search, best first, as JSON has them; see `Alternative`.
    """

    reference: str
    hypothesis: str
    id: str = ""
    audio: str = ""
    start: float = field(default=0.0, metadata={"min": 0.0})
    duration: float = field(default=0.0, metadata={"min": 0.0})
    confidence: float | None = None
    greedy: str | None = None
    alternatives: list[dict[str, Any]] | None = None
    decoding: str = "greedy"


@dataclass(frozen=True)
class ScoredUtterance:
    """An utterance with its alignment in words."""

    row: Utterance
    edits: list[Edit]
    errors: Errors

    @classmethod
    def align(cls, row: Utterance) -> ScoredUtterance:
        """Align the hypothesis of an utterance with its reference."""
        edits = align(row.reference.split(), row.hypothesis.split())
        counts = Counter(edit.op for edit in edits)
        errors = Errors(
            substitutions=counts[SUBSTITUTION],
            insertions=counts[INSERTION],
            deletions=counts[DELETION],
            hits=counts[HIT],
        )
        return cls(row, edits, errors)

    def alternatives(self) -> list[Alternative]:
        """Return the hypotheses of the beam search, best first.

        Raises:
            UserError: one is damaged.
        """
        path = Path("hypotheses.jsonl")
        return [parse(Alternative, item, path, f"utterance {self.row.id}") for item in self.row.alternatives or []]


@dataclass(frozen=True)
class RejectedUtterance:
    """An utterance that the preparation refused."""

    id: str = ""
    reason: str = ""
    detail: str | None = None


@dataclass(frozen=True)
class Rejected:
    """The utterances of a part that the preparation refused."""

    count: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    utterances: tuple[RejectedUtterance, ...] = ()


@dataclass(frozen=True)
class CorpusPart:
    """The size of a part of the corpus."""

    utterances: int = 0
    hours: float = 0.0
    speakers: int | None = None
    words: int = 0
    rejected: Rejected = Rejected()


@dataclass(frozen=True)
class CorpusSummary:
    """prepared/summary.json of a speech corpus."""

    corpus: str = ""
    dev_held_out_by: str | None = None
    splits: dict[str, CorpusPart] = field(default_factory=dict)


@dataclass(frozen=True)
class SpeechRun:
    """The contents of a run folder of speech_to_text; empty where a part is missing.

    Attributes:
        decode: metrics by way of decoding.
        way: of decoding, the one that the report is about: the last one whose utterances are there.
        scored: the utterances, decoded that way.
        has_model: whether there is an acoustic model.
        tuned: whether dev chose the decoding weights.
        config: the text of config.yaml.
    """

    folder: Path
    decode: dict[str, DecodingMetrics]
    way: str
    scored: list[ScoredUtterance]
    has_model: bool
    training: TrainingSummary
    versions: dict[str, str]
    corpus: CorpusSummary
    tuned: bool
    config: str

    @property
    def metrics(self) -> DecodingMetrics:
        """Error rates and speed of the way of decoding that the report is about."""
        return self.decode.get(self.way, DecodingMetrics())

    @classmethod
    def read(cls, folder: Path) -> SpeechRun:
        """Read a run folder.

        Raises:
            UserError: there is nothing to report, or a file is damaged.
        """
        path = folder / "hypotheses.jsonl"
        raw = read_rows(path, ("reference", "hypothesis"), "decode again")
        rows = [(line, parse(Utterance, line, path, f"utterance {line.get('id', '')}")) for line in raw]
        metrics = read_json(folder / "metrics.json")
        decode = dict(_group(metrics, "decode", folder / "metrics.json"))
        ways_at_hand = {row.decoding: None for _, row in rows} or decode
        way = next((way for way in reversed([*ways_at_hand, *decode]) if way in ways_at_hand), "")
        rows = [(line, row) for line, row in rows if row.decoding == way]
        if rows and way not in decode:
            decode[way] = score([line for line, _ in rows])
        description = read_json(folder / "acoustic" / DESCRIPTION)
        if not decode and not description:
            raise UserError(
                f"There is nothing to report in {folder}: it has neither metrics.json nor hypotheses.jsonl nor "
                f"acoustic/{DESCRIPTION}; give the folder of a run."
            )
        training, versions = _training(folder / "acoustic" / DESCRIPTION, description)
        summary = folder / "prepared" / "summary.json"
        return cls(
            folder=folder,
            decode={
                name: parse(DecodingMetrics, entry, folder / "metrics.json", f"decode.{name}")
                for name, entry in decode.items()
            },
            way=way,
            scored=[ScoredUtterance.align(row) for _, row in rows],
            has_model=bool(description),
            training=training,
            versions=versions,
            corpus=parse(CorpusSummary, read_json(summary), summary),
            tuned=bool(metrics.get("tuning")),
            config=_config(folder),
        )


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
        """Whether each document is read from the start state."""
        return bool(self.text.options.get("documents"))

    @classmethod
    def read(cls, folder: Path) -> TextRun:
        """Read a run folder.

        Raises:
            UserError: there is nothing to report, or a file is damaged.
        """
        metrics = _group(read_json(folder / "metrics.json"), "language", folder / "metrics.json")
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
        training, versions = _training(folder / "language" / DESCRIPTION, description)
        tokenizer = description.get("tokenizer")
        summary = folder / "prepared" / "text" / "summary.json"
        return cls(
            folder=folder,
            metrics=parse(LanguageMetrics, metrics, folder / "metrics.json", "language") if metrics else None,
            samples=samples,
            has_model=bool(description),
            tokenizer=str(tokenizer.get("kind", "")) if isinstance(tokenizer, dict) else "",
            training=training,
            versions=versions,
            text=parse(TextSummary, read_json(summary), summary),
            config=_config(folder),
        )


def parse(cls: type[T], value: object, path: Path, key: str = "") -> T:
    """Make a dataclass of a JSON object; keys that the dataclass does not have are left out.

    Args:
        path, key: where the object stands, for messages.

    Raises:
        UserError: a value of another type.
    """
    try:
        return build(cls, _known(cls, value), key)
    except UserError as error:
        raise UserError(f"{path} is damaged ({str(error).rstrip('.')}); run the stage that writes it again.") from error


def keeps_best_epoch(config: str) -> bool:
    """Return whether a run saves the weights of its best epoch: `trainer.keep` in the text of its config.yaml."""
    try:
        return str(yaml.safe_load(config)["trainer"]["keep"]) == "best"
    except (yaml.YAMLError, KeyError, TypeError):
        return True  # the default


@functools.cache
def _nested(cls: type) -> dict[str, tuple[bool, type | None]]:
    """Return of each field whether it is a dictionary, and the dataclass that it or its items are."""
    fields = {}
    for name, hint in typing.get_type_hints(cls).items():
        classes = [item for item in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(item)]
        fields[name] = (typing.get_origin(hint) is dict, classes[0] if classes else None)
    return fields  # type: ignore[return-value]


def _known(cls: type, value: object) -> Any:
    """Return a JSON value without the keys that its dataclass does not have."""
    if not isinstance(value, Mapping):
        return value
    known = {}
    for name, (is_dictionary, inside) in _nested(cls).items():
        if name not in value:
            continue
        item = value[name]
        if inside is None:
            known[name] = item
        elif isinstance(item, list):
            known[name] = [_known(inside, entry) for entry in item]
        elif is_dictionary and isinstance(item, Mapping):
            known[name] = {key: _known(inside, entry) for key, entry in item.items()}
        else:
            known[name] = _known(inside, item)
    return known


def _group(value: Mapping[str, Any], key: str, path: Path) -> Mapping[str, Any]:
    group = value.get(key) or {}
    if not isinstance(group, Mapping):
        raise UserError(f"{path} is damaged ({key} is no group of keys); run the stage that writes it again.")
    return group


def _training(path: Path, description: Mapping[str, Any]) -> tuple[TrainingSummary, dict[str, str]]:
    """Return the training summary and the versions of a model.json."""
    versions = {str(name): str(version) for name, version in _group(description, "versions", path).items()}
    return parse(TrainingSummary, _group(description, "training", path), path, "training"), versions


def _config(folder: Path) -> str:
    path = folder / "config.yaml"
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
