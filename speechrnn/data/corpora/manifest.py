"""Manifests of your own: JSON lines as NeMo writes them, CSV or TSV with a header, or lhotse cuts.

Which of them a file is follows from its suffix and, for JSON lines, from its keys. Relative audio paths start at the
manifest's folder; where nothing is there, at corpus.root or the working folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from speechrnn.core.config import did_you_mean
from speechrnn.core.errors import UserError
from speechrnn.data.corpora import SPLITS, Utterance
from speechrnn.data.corpora.layout import read_lines, read_table

LAYOUT = (
    "manifests with the keys or columns audio_filepath and text, and where they are known duration, offset (seconds), "
    "speaker, id; or lhotse cuts"
)

# The first name of each is ours (and NeMo's), then those of DeepSpeech, SpeechBrain, Common Voice and Hugging Face.
_NAMES = {
    "audio_filepath": ("audio_filepath", "audio", "path", "wav_filename", "wav", "file"),
    "text": ("text", "transcript", "sentence", "transcription", "wrd"),
    "duration": ("duration",),
    "offset": ("offset", "start"),
    "speaker": ("speaker", "speaker_id", "spk_id", "client_id"),
    "id": ("id", "ID", "utt_id"),
}


def utterances(
    root: Path | None,
    *,
    train: Sequence[str] = (),
    dev: Sequence[str] = (),
    test: Sequence[str] = (),
) -> dict[str, list[Utterance]]:
    """Return the utterances of the manifests of each split.

    Args:
        root: where relative paths of manifests start (None: the working folder), and, if it is not found beside the
            manifest, those of audio.
        train, dev, test: paths of manifests (.jsonl, .json, .csv, .tsv, each also with .gz).

    Raises:
        UserError: no manifest, a line that is no JSON, a needed key that is missing, a value that is no number; each
            names the file and the line.
    """
    splits = {}
    for split, value in zip(SPLITS, (train, dev, test), strict=True):
        if value:
            splits[split] = [utterance for path in value for utterance in _read((root or Path()) / path, root)]
    if not splits:
        raise UserError(f"The corpus manifest needs at least one file, as in corpus.train=[train.jsonl]: {LAYOUT}.")
    return splits


def _read(path: Path, root: Path | None) -> Iterator[Utterance]:
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if not path.is_file():
        raise UserError(
            f"The manifest {path} does not exist; paths of manifests start at corpus.root or the working folder."
        )
    if suffix in (".csv", ".tsv"):
        rows = _table(path, "\t" if suffix == ".tsv" else ",")
    elif suffix in (".jsonl", ".json"):
        rows = _json_lines(path)
    else:
        raise UserError(f"The manifest {path} must end in .jsonl, .json, .csv or .tsv (or one of them with .gz).")
    for number, row in rows:
        where = f"{path}, line {number}"
        if "supervisions" in row or "tracks" in row:
            yield from _cut(row, where, path.parent, root)
        else:
            yield _row(row, where, path.parent, root)


def _json_lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in read_lines(path):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(
                f"{path}, line {number} is no JSON ({error.msg} at column {error.colno}); each line must be one "
                'object, as in {"audio_filepath": "a.wav", "duration": 1.5, "text": "hello"}.'
            ) from None
        if not isinstance(row, dict):
            raise UserError(f"{path}, line {number} must be a JSON object, not {line[:60]!r}.")
        yield number, row


def _table(path: Path, delimiter: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    rows = read_table(path, delimiter, quoted=True)
    header = [name.strip() for name in next(rows, (1, []))[1]]
    for key in ("audio_filepath", "text"):
        if not any(name in header for name in _NAMES[key]):
            raise UserError(
                f"{path}, line 1: the header has no column {key}, only {', '.join(header)}{did_you_mean(key, header)}"
            )
    for number, cells in rows:
        if len(cells) != len(header):
            raise UserError(f"{path}, line {number}: {len(cells)} columns where the header has {len(header)}.")
        yield number, dict(zip(header, cells, strict=True))


def _row(row: Mapping[str, Any], where: str, folder: Path, root: Path | None) -> Utterance:
    audio = _value(row, "audio_filepath", where)
    text = _value(row, "text", where)
    if not isinstance(audio, str) or not audio:
        raise UserError(f"{where}: audio_filepath must be the path of a file, not {audio!r}.")
    if not isinstance(text, str):
        raise UserError(f"{where}: text must be a string, not {text!r}.")
    speaker = _optional(row, "speaker")
    name = _optional(row, "id")
    return Utterance(
        id=str(name) if name is not None else Path(audio).stem,
        audio=_audio_path(audio, folder, root),
        text=text,
        speaker=None if speaker is None else str(speaker),
        start=_seconds(row, "offset", where) or 0.0,
        duration=_seconds(row, "duration", where),
    )


def _cut(cut: Mapping[str, Any], where: str, folder: Path, root: Path | None) -> Iterator[Utterance]:
    """One utterance a supervision, as lhotse's trim_to_supervisions: a cut may be a whole recording."""
    kind = cut.get("type", "MonoCut")
    if kind not in ("MonoCut", "MultiCut"):
        raise UserError(f"{where}: a lhotse {kind} cannot be used; save MonoCut or MultiCut.")
    try:
        sources = cut["recording"]["sources"]
        if len(sources) != 1 or sources[0]["type"] != "file":
            raise UserError(f"{where}: the cut {cut['id']} must have its recording in one file.")
        audio = _audio_path(sources[0]["source"], folder, root)
        channels = cut["recording"].get("channel_ids") or sources[0]["channels"]
        single = kind == "MonoCut" and len(channels) > 1
        segments = cut["supervisions"]
        for segment in segments or [{"id": cut["id"], "start": 0.0, "duration": cut["duration"]}]:
            yield Utterance(
                # A cut of one utterance keeps its id; the segment's own is that of the whole recording at times.
                id=str(cut["id"] if len(segments) < 2 else segment["id"]),
                audio=audio,
                text=segment.get("text"),
                speaker=segment.get("speaker"),
                start=max(0.0, float(cut["start"]) + float(segment["start"])),
                duration=float(segment["duration"]),
                channel=channels.index(cut["channel"]) if single else None,
            )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        missing = f"has no key {error}" if isinstance(error, KeyError) else f"is damaged ({error})"
        raise UserError(f"{where}: the lhotse cut {missing}; write it with CutSet.to_file.") from error


def _optional(row: Mapping[str, Any], key: str) -> Any:
    for name in _NAMES[key]:
        if row.get(name) not in (None, ""):
            return row[name]
    return None


def _value(row: Mapping[str, Any], key: str, where: str) -> Any:
    for name in _NAMES[key]:
        if name in row:
            return row[name]
    raise UserError(f"{where}: the key {key} is missing among {', '.join(row) or 'no keys'}{did_you_mean(key, row)}")


def _seconds(row: Mapping[str, Any], key: str, where: str) -> float | None:
    value = _optional(row, key)
    if value is None:
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UserError(f"{where}: {key} must be a number of seconds, not {value!r}.")
    return seconds


def _audio_path(name: str, folder: Path, root: Path | None) -> Path:
    """Beside the manifest (NeMo), under the root, or from the working folder (lhotse); the first where a file is."""
    path = Path(name).expanduser()
    candidates = [folder / path, (root or folder) / path, path]
    return next((candidate for candidate in candidates if candidate.is_file()), candidates[0])
