"""Read what a run of speech to text has left in its folder: error rates, decoded utterances, summaries."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speechrnn.core.errors import UserError
from speechrnn.core.jsonio import read_json, read_rows
from speechrnn.core.model_names import DESCRIPTION
from speechrnn.evaluation.metrics import DELETION, HIT, INSERTION, SUBSTITUTION, Edit, Errors, align, score
from speechrnn.reports.run_files import TrainingSummary, parse, read_config, read_training, select_group


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
        return [parse(Alternative, item, path, key=f"utterance {self.row.id}") for item in self.row.alternatives or []]


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
        """Return error rates and speed of the decoding that the report describes."""
        return self.decode.get(self.way, DecodingMetrics())

    @classmethod
    def read(cls, folder: Path) -> SpeechRun:
        """Read a run folder.

        Raises:
            UserError: there is nothing to report, or a file is damaged.
        """
        path = folder / "hypotheses.jsonl"
        raw = read_rows(path, ("reference", "hypothesis"), "decode again")
        rows = [(line, parse(Utterance, line, path, key=f"utterance {line.get('id', '')}")) for line in raw]
        metrics = read_json(folder / "metrics.json")
        decode = dict(select_group(metrics, "decode", folder / "metrics.json"))
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
        training, versions = read_training(folder / "acoustic" / DESCRIPTION, description)
        summary = folder / "prepared" / "summary.json"
        return cls(
            folder=folder,
            decode={
                name: parse(DecodingMetrics, entry, folder / "metrics.json", key=f"decode.{name}")
                for name, entry in decode.items()
            },
            way=way,
            scored=[ScoredUtterance.align(row) for _, row in rows],
            has_model=bool(description),
            training=training,
            versions=versions,
            corpus=parse(CorpusSummary, read_json(summary), summary),
            tuned=bool(metrics.get("tuning")),
            config=read_config(folder),
        )
