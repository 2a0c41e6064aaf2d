"""What a run has left in its folder: its figures, its decoded utterances with their errors, its summaries."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechrnn.core.errors import UserError
from speechrnn.core.jsonio import read_json, read_rows
from speechrnn.evaluation.metrics import DELETION, HIT, INSERTION, SUBSTITUTION, Edit, Errors, align, score
from speechrnn.nn.checkpoint import DESCRIPTION


@dataclass(frozen=True)
class Scored:
    """An utterance of `hypotheses.jsonl` with its alignment in words."""

    row: dict[str, Any]
    edits: list[Edit]
    errors: Errors

    @property
    def duration(self) -> float:
        """Seconds; 0 where the row does not say."""
        return float(self.row.get("duration", 0.0))


@dataclass(frozen=True)
class Results:
    """What a run folder holds; empty where a part is missing.

    Attributes:
        decode: `metrics.json`'s entry for each way of decoding.
        way: of decoding, the one that the report is about: the last one that utterances are at hand of.
        scored: the utterances, decoded that way.
        model: `acoustic/model.json`.
        corpus: `prepared/summary.json`.
        config: `config.yaml`, as it stands.
    """

    folder: Path
    decode: dict[str, dict[str, Any]]
    way: str
    scored: list[Scored]
    model: dict[str, Any]
    corpus: dict[str, Any]
    config: str

    @property
    def figures(self) -> dict[str, Any]:
        """The error rates and the speed of the decoding that the report is about."""
        return self.decode.get(self.way, {})

    @property
    def training(self) -> dict[str, Any]:
        """The summary that the training left in the model."""
        return self.model.get("training") or {}

    @classmethod
    def read(cls, folder: Path) -> Results:
        """Reads a run folder.

        Raises:
            UserError: there is nothing to report, or a file is damaged.
        """
        rows = read_rows(folder / "hypotheses.jsonl", ("reference", "hypothesis"), "decode again")
        decode = dict(read_json(folder / "metrics.json").get("decode") or {})
        at_hand = {row.get("decoding", "greedy"): None for row in rows} or decode
        ways = [*at_hand, *decode]
        way = next((way for way in reversed(ways) if way in at_hand), "")
        rows = [row for row in rows if row.get("decoding", "greedy") == way]
        if rows and way not in decode:
            decode[way] = score(rows)
        scored = [_score(row) for row in rows]
        model = read_json(folder / "acoustic" / DESCRIPTION)
        if not decode and not model:
            raise UserError(
                f"There is nothing to report in {folder}: it has neither metrics.json nor hypotheses.jsonl nor "
                f"acoustic/{DESCRIPTION}; give the folder of a run."
            )
        corpus = read_json(folder / "prepared" / "summary.json")
        return cls(folder, decode, way, scored, model, corpus, _config(folder))


@dataclass(frozen=True)
class TextResults:
    """What the folder of a text prediction run holds; empty where a part is missing.

    Attributes:
        figures: `metrics.json`'s entry "language".
        samples: of `samples.jsonl`: "prompt", "temperature" and "text".
        model: `language/model.json`.
        text: `prepared/text/summary.json`.
        config: `config.yaml`, as it stands.
    """

    folder: Path
    figures: dict[str, Any]
    samples: list[dict[str, Any]]
    model: dict[str, Any]
    text: dict[str, Any]
    config: str

    @property
    def training(self) -> dict[str, Any]:
        """The summary that the training left in the model."""
        return self.model.get("training") or {}

    @classmethod
    def read(cls, folder: Path) -> TextResults:
        """Reads a run folder. UserError where there is nothing to report, or a file is damaged."""
        figures = read_json(folder / "metrics.json").get("language") or {}
        samples = read_rows(folder / "samples.jsonl", ("prompt", "text"), "let the model write again")
        model = read_json(folder / "language" / DESCRIPTION)
        if not (figures or samples or model):
            raise UserError(
                f"There is nothing to report in {folder}: it has neither metrics.json nor samples.jsonl nor "
                f"language/{DESCRIPTION}; give the folder of a run."
            )
        text = read_json(folder / "prepared" / "text" / "summary.json")
        return cls(folder, figures, samples, model, text, _config(folder))


def _config(folder: Path) -> str:
    path = folder / "config.yaml"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _score(row: dict[str, Any]) -> Scored:
    edits = align(row["reference"].split(), row["hypothesis"].split())
    counts = Counter(edit.op for edit in edits)
    return Scored(row, edits, Errors(counts[SUBSTITUTION], counts[INSERTION], counts[DELETION], counts[HIT]))
