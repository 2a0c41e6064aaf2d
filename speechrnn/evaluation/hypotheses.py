"""Texts by utterance: `hypotheses.jsonl`, the transcription files of others, and which text belongs to which.

An id is a path without suffix, relative to the folder that was transcribed ("an4test_clstk/fcaw/an406-fcaw-b"), or
whatever name a transcription file gives.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from speechrnn.core.errors import UserError
from speechrnn.data.corpora.layout import files_below, read_lines, read_table

if TYPE_CHECKING:
    pass

HYPOTHESES = "hypotheses.jsonl"

# Keys and column names, the first one being ours, then those of NeMo, Common Voice, DeepSpeech and SpeechBrain.
REFERENCE = ("reference", "text", "sentence", "transcript", "transcription", "wrd")
HYPOTHESIS = ("hypothesis", "pred_text", "text")
_IDS = ("id", "ID", "utt_id")
_PATHS = ("audio", "audio_filepath", "path", "wav_filename", "wav", "file")

_NIST = re.compile(r"^(?:<s>\s)?(?P<text>.*?)(?:\s*</s>)?\s*\((?P<id>[^()\s]+)\)\s*$")  # TEXT (id)


def read_texts(path: Path, names: Sequence[str], key: str) -> dict[str, str]:
    """Read the text of each utterance, by id.

    Args:
        path: JSON lines (such as `hypotheses.jsonl`), CSV or TSV with a header, TSV of id and text, lines of `id text`
            or of `TEXT (id)`, each also with .gz; a folder that holds a `hypotheses.jsonl`; or a folder of .txt files.
        names: keys or columns that hold the text, in files that name them: REFERENCE or HYPOTHESIS.
        key: the config key that names the path, for messages.

    Raises:
        UserError: the path does not exist or holds no texts, a damaged line (with its number), or an id twice.
    """
    if path.is_dir() and (path / HYPOTHESES).is_file():
        path = path / HYPOTHESES
    if path.is_dir():
        pairs = _text_files(path)
    elif not path.is_file():
        raise UserError(
            f"{key}={path} does not exist; give a {HYPOTHESES}, a run's folder, a transcription file or a folder of "
            ".txt files."
        )
    else:
        suffix = Path(path.name.removesuffix(".gz")).suffix
        if suffix in (".jsonl", ".json"):
            pairs = _records(_json_lines(path), names)
        elif suffix in (".csv", ".tsv"):
            pairs = _table(path, "," if suffix == ".csv" else "\t", names)
        else:
            pairs = _lines(path)
    texts: dict[str, str] = {}
    for id, text, where in pairs:
        if id in texts:
            raise UserError(f"{where}: the id {id} stands there a second time; each utterance must have one text.")
        texts[id] = text
    if not texts:
        raise UserError(f"{key}={path} holds no texts; give a {HYPOTHESES}, a transcription file or .txt files.")
    return texts


Candidates = Iterator[tuple[str, str, str]]  # id, text, where it stands


def _text_files(folder: Path) -> Candidates:
    for path in files_below(folder):
        if path.suffix == ".txt":
            yield (
                path.relative_to(folder).with_suffix("").as_posix(),
                " ".join(line.strip() for _, line in read_lines(path)),
                str(path),
            )


def _json_lines(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in read_lines(path):
        where = f"{path}, line {number}"
        if "\0" in line:
            raise UserError(
                f"{where} is damaged (it holds zero bytes, as a power cut leaves them); make the file again."
            )
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(
                f"{where} is no JSON ({error.msg} at column {error.colno}); each must be one object."
            ) from None
        except (RecursionError, ValueError):
            raise UserError(
                f"{where} is nested too deep or holds too long a number; each must be one object."
            ) from None
        if not isinstance(value, dict):
            raise UserError(f"{where} must be a JSON object, not {line[:60]!r}.")
        yield where, value


def _records(rows: Iterable[tuple[str, Mapping[str, Any]]], names: Sequence[str]) -> Candidates:
    for where, row in rows:
        id = _first(row, _IDS)
        if id is None and (path := _first(row, _PATHS)) is not None:
            name = PurePosixPath(str(path))
            if not name.name:
                raise UserError(f"{where}: {str(path)[:60]!r} is no name of a recording; correct it, or add an 'id'.")
            id = name.with_suffix("").as_posix()
        text = _first(row, names)
        for value, wanted in ((id, _IDS[0]), (text, names[0])):
            if value is None:
                hint = "; add it, or give references=PATH" if wanted == REFERENCE[0] else ""
                if empty := next((name for name in (*_IDS, *names) if name in row and row[name] is None), None):
                    raise UserError(f"{where}: the value of {empty!r} is null; give a text.")
                keys = ", ".join(map(str, row)) or "(none)"
                raise UserError(f"{where}: there is no {wanted!r} among the keys {keys}{hint}.")
        for value, wanted in ((id, _IDS[0]), (text, names[0])):
            if isinstance(value, (list, dict, bool)):
                raise UserError(f"{where}: the {wanted} is {str(value)[:60]}; give a text.")
        yield str(id), str(text), where


def _first(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _table(path: Path, delimiter: str, names: Sequence[str]) -> Candidates:
    rows = read_table(path, delimiter, quoted=delimiter == ",")
    number, first = next(rows, (0, []))
    header = [cell.strip() for cell in first]
    if set(header) & {*_IDS, *_PATHS} and set(header) & {*names}:
        records = ((f"{path}, line {number}", dict(zip(header, cells, strict=False))) for number, cells in rows)
        yield from _records(records, names)
        return
    while first:
        if len(first) != 2:
            raise UserError(
                f"{path}, line {number}: {len(first)} columns; give id and text, or a header such as "
                f"{delimiter.join(('id', names[0]))!r}."
            )
        yield first[0].strip(), first[1], f"{path}, line {number}"
        number, first = next(rows, (0, []))


def _lines(path: Path) -> Candidates:
    """Read `TEXT (id)` where every line ends like that, else `id text`."""
    lines = [(f"{path}, line {number}", line) for number, line in read_lines(path)]
    matches = [_NIST.match(line) for _, line in lines]
    for (where, line), match in zip(lines, matches, strict=True):
        if all(matches) and match is not None:
            yield match["id"], match["text"].strip(), where
        else:
            id, _, text = line.strip().replace("\t", " ").partition(" ")
            yield id, text.strip(), where


@dataclass(frozen=True)
class Matched:
    """References and hypotheses, matched by id.

    Attributes:
        rows: with "id", "reference" and "hypothesis", in the order of the references.
        missing: ids of references without a hypothesis.
        unknown: ids of hypotheses without a reference.
    """

    rows: list[dict[str, str]]
    missing: tuple[str, ...]
    unknown: tuple[str, ...]

    def notes(self) -> list[str]:
        """Return one sentence for each kind of utterance that was left out."""
        notes = []
        for ids, singular, plural in (
            (self.missing, "reference has no hypothesis", "references have no hypothesis"),
            (self.unknown, "hypothesis has no reference", "hypotheses have no reference"),
        ):
            if len(ids) == 1:
                notes.append(f"1 {singular} and is left out: {ids[0]}.")
            elif ids:
                notes.append(f"{len(ids)} {plural} and are left out (first: {ids[0]}).")
        return notes


def match(references: Mapping[str, str], hypotheses: Mapping[str, str]) -> Matched:
    """Match texts by their whole id or, where its last part is unique on both sides, by that.

    Raises:
        UserError: nothing fits.
    """
    partner = {id: id for id in references if id in hypotheses}
    ours, theirs = _unique(references), _unique(hypotheses)
    partner.update({ours[name]: theirs[name] for name in ours.keys() & theirs.keys()})
    rows = [
        {"id": id, "reference": references[id], "hypothesis": hypotheses[partner[id]]}
        for id in references
        if id in partner
    ]
    if not rows:
        raise UserError(
            f"No reference fits a hypothesis: there are ids such as {next(iter(references))} on the one side, "
            f"{next(iter(hypotheses))} on the other; give both the same, or the same file names."
        )
    taken = set(partner.values())
    return Matched(
        rows,
        tuple(id for id in references if id not in partner),
        tuple(id for id in hypotheses if id not in taken),
    )


def _unique(ids: Iterable[str]) -> dict[str, str]:
    """Return ids by their last part, without those that share it."""
    named = [(PurePosixPath(id).name, id) for id in ids]
    counts = Counter(name for name, _ in named)
    return {name: id for name, id in named if counts[name] == 1}
