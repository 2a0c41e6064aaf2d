"""Manifests of your own: JSON lines as NeMo writes them, CSV or TSV with a header, or lhotse cuts.

Which of them a file is follows from its suffix and, for JSON lines, from its keys. Relative audio paths start at the
manifest's folder; where nothing is there, at corpus.root or the working folder.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from speechrnn.audio import AUDIO_SUFFIXES
from speechrnn.core.config import did_you_mean
from speechrnn.core.errors import UserError
from speechrnn.core.files import expand_user
from speechrnn.data.corpora import SPLITS, Utterance
from speechrnn.data.corpora.layout import find_file, read_lines, read_table, unclosed_quote

LAYOUT = (
    "manifests with the keys or columns audio_filepath and text, and where they are known duration, offset (seconds), "
    "speaker, id; or lhotse cuts"
)

# The first name of each is ours (and NeMo's), then those of DeepSpeech, SpeechBrain, Common Voice and Hugging Face; the
# last one of text is that of a job's hypotheses.jsonl.
_NAMES = {
    "audio_filepath": ("audio_filepath", "audio", "path", "wav_filename", "wav", "file"),
    "text": ("text", "transcript", "sentence", "transcription", "wrd", "hypothesis"),
    "duration": ("duration",),
    "offset": ("offset", "start"),
    "speaker": ("speaker", "speaker_id", "spk_id", "client_id"),
    "id": ("id", "ID", "utt_id"),
}
_LONGEST_NAME = 255  # characters of a file's name on the usual file systems


def utterances(
    root: Path | None,
    *,
    train: Sequence[str] = (),
    dev: Sequence[str] = (),
    test: Sequence[str] = (),
    min_confidence: float = 0.0,
) -> dict[str, list[Utterance]]:
    """Return the utterances of the manifests of each split.

    Args:
        root: where relative paths of manifests start, or else at the working folder, and, if it is not found beside the
            manifest, those of audio.
        train, dev, test: paths of manifests (.jsonl, .json, .csv, .tsv, each also with .gz); `hypotheses.jsonl` of a
            job of `transcribe` is one, whose texts are those that were recognised (pseudo-labels).
        min_confidence: utterances of the training part with less confidence are left out; those without any stay.

    Raises:
        UserError: no manifest, one without a recording, a line that is no JSON, a needed key that is missing, a value
            that is no number; each names the file and the line.
    """
    if not 0 <= min_confidence <= 1:
        raise UserError(f"corpus.min_confidence={min_confidence} is wrong: give a number from 0 to 1.")
    splits = {}
    for split, value in zip(SPLITS, (train, dev, test), strict=True):
        if value:
            least = min_confidence if split == "train" else 0.0
            splits[split] = [found for path in value for found in _read(_find_manifest(path, root), root, least)]
    if not splits:
        raise UserError(f"The corpus manifest needs at least one file, as in corpus.train=[train.jsonl]: {LAYOUT}.")
    return splits


def _find_manifest(name: str, root: Path | None) -> Path:
    """Return the path of a manifest: under the root, or in the working folder."""
    path = (root or Path()) / name
    return path if path.is_file() or not Path(name).is_file() else Path(name)


def _read(path: Path, root: Path | None, min_confidence: float) -> Iterator[Utterance]:
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
    empty = True
    for number, row in rows:
        empty = False
        where = f"{path}, line {number}"
        if "supervisions" in row or "tracks" in row:
            yield from _cut(row, where, path.parent, root=root)
        else:
            utterance = _row(row, where, path.parent, root=root)
            # A key of that name is not read where it is not asked for: it may be on any scale.
            unsure = min_confidence > 0 and _confidence(row, where) < min_confidence
            yield replace(utterance, left_out=f"confidence below {min_confidence:g}") if unsure else utterance
    if empty:
        raise UserError(f"The manifest {path} lists no recording.")


def _json_lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in read_lines(path):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(
                f"{path}, line {number} is no JSON ({error.msg} at column {error.colno}); each line must be one "
                'object, as in {"audio_filepath": "a.wav", "duration": 1.5, "text": "hello"}.'
            ) from None
        except RecursionError:
            raise UserError(f"{path}, line {number} is nested too deep; each line must be one flat object.") from None
        except ValueError:  # Python refuses whole numbers of more than 4,300 digits
            raise UserError(f"{path}, line {number} holds a number of thousands of digits; correct the line.") from None
        if not isinstance(row, dict):
            raise UserError(f"{path}, line {number} must be a JSON object, not {line[:60]!r}.")
        yield number, row


def _table(path: Path, delimiter: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    # Quotation marks in TSV are text, apart from those that csv writers put around a whole cell.
    rows = read_table(path, delimiter, quoted=delimiter == ",")
    if delimiter == "\t":
        rows = ((number, [_unquoted(cell, path, number) for cell in cells]) for number, cells in rows)
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


def _unquoted(cell: str, path: Path, number: int) -> str:
    if not cell.startswith('"'):
        return cell
    if cell.count('"') % 2:
        raise unclosed_quote(path, number)
    inside = cell[1:-1].replace('""', "")
    return cell[1:-1].replace('""', '"') if cell.endswith('"') and '"' not in inside else cell


def _row(row: Mapping[str, Any], where: str, folder: Path, root: Path | None) -> Utterance:
    audio = _value(row, "audio_filepath", where)
    text = _value(row, "text", where)
    if not isinstance(text, str):
        raise UserError(f"{where}: text must be a string, not {_shown(text)}.")
    path = _audio_path(audio, folder, root, where=where)
    if Path(text).suffix.lower() in AUDIO_SUFFIXES and path.suffix.lower() not in AUDIO_SUFFIXES:
        raise UserError(f"{where}: the text is {_shown(text)}; are the columns audio_filepath and text swapped?")
    recognised = not any(name in row for name in _NAMES["text"][:-1])
    return Utterance(
        id=_string(row, "id", where) or path.stem,
        audio=path,
        text=_unicode(text, "text", where),
        speaker=_string(row, "speaker", where),
        start=_seconds(row, "offset", where) or 0.0,
        duration=_seconds(row, "duration", where),
        # What a row of hypotheses.jsonl says of a recording with several channels; NeMo's manifests have no such key.
        channel=row.get("channel") if recognised and isinstance(row.get("channel"), int) else None,
        recognised=recognised,
    )


def _cut(cut: Mapping[str, Any], where: str, folder: Path, root: Path | None) -> Iterator[Utterance]:
    """Yield one utterance a supervision, as lhotse's trim_to_supervisions: a cut may be a whole recording."""
    kind = cut.get("type", "MonoCut")
    if kind not in ("MonoCut", "MultiCut"):
        raise UserError(f"{where}: a lhotse {kind} cannot be used; save MonoCut or MultiCut.")
    try:
        sources = cut["recording"]["sources"]
        if len(sources) != 1 or sources[0]["type"] != "file":
            raise UserError(f"{where}: the cut {cut['id']} must have its recording in one file.")
        audio = _audio_path(sources[0]["source"], folder, root, where=where)
        channels = list(cut["recording"].get("channel_ids") or sources[0]["channels"])
        segments = cut["supervisions"]
        for segment in segments or [{"id": cut["id"], "start": 0.0, "duration": cut["duration"]}]:
            start, duration = float(cut["start"]) + float(segment["start"]), float(segment["duration"])
            text, speaker = segment.get("text"), segment.get("speaker")
            if not (math.isfinite(start) and math.isfinite(duration)):
                raise ValueError(f"start {start:g} s, duration {duration:g} s")
            if not (text is None or isinstance(text, str)):
                raise ValueError(f"text {_shown(text)}")
            yield Utterance(
                # A cut of one utterance keeps its id; the segment's own is that of the whole recording at times.
                id=_unicode(str(cut["id"] if len(segments) < 2 else segment["id"]), "id", where),
                audio=audio,
                text=None if text is None else _unicode(text, "text", where),
                speaker=None if speaker is None else _unicode(str(speaker), "speaker", where),
                start=max(0.0, start),
                duration=duration,
                channel=_channel(cut["channel"] if kind == "MonoCut" else segment.get("channel"), channels),
            )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
        missing = f"has no key {error}" if isinstance(error, KeyError) else f"is damaged ({_short(str(error))})"
        raise UserError(f"{where}: the lhotse cut {missing}; write it with CutSet.to_file.") from error


def _channel(named: int | list[int] | None, channels: list[int]) -> int | None:
    """Return the place of the channel that a supervision names; None where it names all: they are mixed."""
    numbers = channels if named is None else [named] if isinstance(named, int) else list(named)
    places = [channels.index(number) for number in numbers]
    if len(places) == 1 and len(channels) > 1:
        return places[0]
    if len(places) != len(channels):
        raise ValueError(f"channels {numbers} of {channels}: name one or all")
    return None


def _optional(row: Mapping[str, Any], key: str) -> Any:
    for name in _NAMES[key]:
        if row.get(name) not in (None, ""):
            return row[name]
    return None


def _value(row: Mapping[str, Any], key: str, where: str) -> Any:
    for name in _NAMES[key]:
        if name in row:
            return row[name]
    raise UserError(
        f"{where}: the key {key} is missing among {_short(', '.join(row)) or 'no keys'}{did_you_mean(key, row)}"
    )


def _seconds(row: Mapping[str, Any], key: str, where: str) -> float | None:
    value = _optional(row, key)
    if value is None:
        return None
    try:
        seconds = -1.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UserError(f"{where}: {key} must be a number of seconds, not {_shown(value)}.")
    return seconds


def _confidence(row: Mapping[str, Any], where: str) -> float:
    """Return the confidence of a recognised text, from 0 to 1; 1 where there is none."""
    value = row.get("confidence")
    try:
        confidence = 1.0 if value in (None, "") else float(value)
    except (TypeError, ValueError, OverflowError):
        confidence = -1.0
    if not 0 <= confidence <= 1:
        raise UserError(f"{where}: confidence must be a number from 0 to 1, not {_shown(value)}.")
    return confidence


def _string(row: Mapping[str, Any], key: str, where: str) -> str | None:
    value = _optional(row, key)
    return None if value is None else _unicode(str(value), key, where)


def _unicode(text: str, key: str, where: str) -> str:
    """Return `text` if it can be written to a file: JSON can spell half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(f"{where}: {key} is no Unicode text: {_shown(text)}.") from None
    return text


def _shown(value: object) -> str:
    return _short(repr(value))


def _short(text: str, most: int = 80) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def _audio_path(name: object, folder: Path, root: Path | None, where: str) -> Path:
    """Find a file beside the manifest (NeMo), under the root, or in the working folder (lhotse), in this order."""
    if not isinstance(name, str) or not name or "\0" in name:
        raise UserError(f"{where}: audio_filepath must be the path of a file, not {_shown(name)}.")
    if max(map(len, Path(_unicode(name, "audio_filepath", where)).parts), default=0) > _LONGEST_NAME:
        raise UserError(f"{where}: audio_filepath is no name of a file but {_shown(name)}; are the columns swapped?")
    path = Path(name)
    if name.startswith("~") and find_file(folder / path) is None:
        try:
            path = expand_user(path)
        except UserError:
            raise UserError(f"{where}: there is no user {path.parts[0]} for the audio file {_shown(name)}.") from None
    candidates = [folder / path, (root or folder) / path, path]
    return next((found for candidate in candidates if (found := find_file(candidate)) is not None), candidates[0])
