"""What a run has left in its folder: its figures, its decoded utterances with their errors, its summaries."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechrnn.core.errors import UserError
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


def read_json(path: Path) -> dict[str, Any]:
    """A file that holds a JSON object; {} where there is none. UserError where it is damaged."""
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); run the stage that writes it again.") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} is damaged (it holds no JSON object); run the stage that writes it again.")
    return value


def read_rows(path: Path, texts: Sequence[str], again: str) -> list[dict[str, Any]]:
    """A file of JSON lines; [] where there is none.

    Args:
        texts: keys that each line must have, with text behind them.
        again: how to get the file anew, for messages.

    Raises:
        UserError: a damaged line.
    """
    if not path.is_file():
        return []
    rows = []
    for line, text in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except ValueError as error:
            raise UserError(f"Line {line} of {path} is no JSON ({error}); {again}.") from error
        if not (isinstance(row, dict) and all(isinstance(row.get(key), str) for key in texts)):
            names = " and ".join(f'"{key}"' for key in texts)
            raise UserError(f"Line {line} of {path} has no texts {names}; {again}.")
        rows.append(row)
    return rows
