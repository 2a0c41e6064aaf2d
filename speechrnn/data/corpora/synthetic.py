"""Synthetic: speech made on the spot with espeak-ng, in many voices, speeds and pitches, with noise.

A corpus that anyone can have in seconds, for the demo and for tests. espeak-ng is a formant synthesiser: it is clear
and its voices differ, but no model that was trained on it alone understands people.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write, expand_user
from speechrnn.data.corpora import SPLITS, Utterance

if TYPE_CHECKING:
    from speechrnn.data.corpora.synthesis import Settings

LAYOUT = "synthetic.json, utterances.jsonl, words.jsonl and the folders train/, dev/ and test/, all made if it is empty"

HOW_TO_GET = "The corpus synthetic is made, not fetched: set corpus.download=false."

# Every accent and the whole span of timbres speak in training; no variant of dev or test does.
TRAIN_VOICES = (
    "en-us",
    "en+f3",
    "en-gb-scotland+m1",
    "en-us+f1",
    "en-us-nyc+klatt",
    "en-029+m3",
    "en-gb-x-rp+f4",
    "en+m4",
    "en-gb-x-gbclan",
    "en-us+Annie",
    "en-gb-scotland+f3",
    "en-us+m7",
    "en-gb-x-gbcwmd+m6",
    "en-029+f1",
    "en-us+Andy",
    "en+steph",
)
DEV_VOICES = ("en-us+f2", "en+m2")
TEST_VOICES = ("en-us+m5", "en+f5", "en-gb-scotland+m8", "en-us+linda")

_LOG = logging.getLogger(__name__)
_VERSION = 1  # raised when the same settings would give other sounds


def utterances(
    root: Path | None,
    *,
    train_utterances: int = 900,
    dev_utterances: int = 60,
    test_utterances: int = 120,
    train_voices: tuple[str, ...] = TRAIN_VOICES,
    dev_voices: tuple[str, ...] = DEV_VOICES,
    test_voices: tuple[str, ...] = TEST_VOICES,
    sentences: str | tuple[str, ...] | None = None,
    rate: tuple[int, int] = (140, 190),
    pitch: tuple[int, int] = (35, 65),
    pitch_range: tuple[int, int] = (30, 70),
    noises: tuple[Literal["white", "pink"], ...] = ("white", "pink"),
    snr: tuple[float, float] = (15.0, 35.0),
    level: tuple[float, float] = (-30.0, -20.0),
    sampling_rate: int = 16000,
    seed: int = 0,
) -> dict[str, list[Utterance]]:
    """Make the corpus in `root`, or take the one there if it was made with the same arguments.

    Beside the audio (16-bit flac, `SPLIT/ID.flac`) lie `utterances.jsonl`, everything drawn for each utterance, and
    `words.jsonl`, the times of each word: `{"id", "words": [{"word", "start", "end"}]}`, seconds, the words as written,
    with their punctuation. The same arguments make the same files, byte for byte, on the same machine.

    Args:
        root: the folder to write to; made if it is missing. It must be empty or hold an earlier synthetic corpus, which
            is made anew where the arguments differ.
        train_utterances, dev_utterances, test_utterances: how many there are in each part.
        train_voices, dev_voices, test_voices: espeak-ng's voices of each part, used in turn: a language, alone or
            with a variant, as in "en-gb-scotland+f3".
        sentences: a list of sentences, or a text file with one a line; None: those of `speechrnn.data.corpora.grammar`.
        rate, pitch, pitch_range, noises, snr, level, sampling_rate, seed: see `synthesis.Settings`.

    Raises:
        UserError: espeakng-loader is not installed, an unknown voice, a value out of its range, a folder that holds
            something else or cannot be written.
    """
    if root is None:
        raise UserError("The corpus synthetic needs corpus.root, the folder to write it to.")
    from speechrnn.data.corpora import espeak
    from speechrnn.data.corpora.synthesis import Settings

    counts = {"train": train_utterances, "dev": dev_utterances, "test": test_utterances}
    voices = {"train": tuple(train_voices), "dev": tuple(dev_voices), "test": tuple(test_voices)}
    for split in SPLITS:
        _check(f"{split}_utterances", [counts[split]], 0, most=99_999)
        if counts[split] and not voices[split]:
            raise UserError(
                f"corpus.{split}_voices=[] names no voice; give one, such as en-us, or set the number to 0."
            )
        espeak.check_voices(voices[split])
    _check("rate", rate, 80, most=450)
    _check("pitch", pitch, 0, most=100)
    _check("pitch_range", pitch_range, 0, most=100)
    _check("snr", snr, -50, most=100)
    _check("level", level, -60, most=0)
    _check("sampling_rate", [sampling_rate], 8000, most=192_000)
    _check("seed", [seed], 0, most=2**63)
    settings = Settings(
        seed=seed,
        sampling_rate=sampling_rate,
        voices=voices,
        sentences=_sentences(sentences),
        rate=rate,
        pitch=pitch,
        pitch_range=pitch_range,
        noises=tuple(noises),
        snr=snr,
        level=level,
    )
    fingerprint = {"version": _VERSION, "espeak": espeak.version(), "utterances": counts, **asdict(settings)}
    fingerprint = json.loads(json.dumps(fingerprint))  # as it comes back from the file, with lists for tuples
    if (there := _load(root, fingerprint)) is None:
        _make(root, counts, settings, fingerprint=fingerprint)
        there = _list(root)
    return there


def _check(key: str, values: Sequence[float], least: float, most: float) -> None:
    if any(not least <= value <= most for value in values) or list(values) != sorted(values):
        shown = f"[{','.join(f'{value:g}' for value in values)}]" if len(values) > 1 else f"{values[0]:g}"
        lower_first = ", the lower one first" if len(values) > 1 else ""
        raise UserError(f"corpus.{key}={shown} is wrong: it must be from {least:g} to {most:g}{lower_first}.")


def _sentences(value: str | Sequence[str] | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str):
        path = expand_user(value)
        try:
            value = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise UserError(f"corpus.sentences={path} cannot be read: {reason}; give a text file or a list.") from None
    lines = tuple(" ".join(line.split()) for line in value if line.strip())
    if not lines:
        raise UserError("corpus.sentences holds no sentence; give some, or null for those of the built-in grammar.")
    return lines


def _load(root: Path, fingerprint: dict[str, Any]) -> dict[str, list[Utterance]] | None:
    """Load the result of an earlier call from `root`, if it is complete and has this fingerprint."""
    if root.exists() and not root.is_dir():
        raise UserError(f"corpus.root={root} is a file, not a folder; choose another one.")
    try:
        marker = json.loads((root / "synthetic.json").read_text(encoding="utf-8"))
        if not marker["complete"]:
            return None
        made = marker["fingerprint"]
        if made != fingerprint:
            differing = ", ".join(key for key in fingerprint if made.get(key) != fingerprint[key])
            _LOG.info("%s was made with other settings (%s) and is made anew.", root, differing)
            return None
        there = _list(root)
    except FileNotFoundError:
        if root.is_dir() and any(not path.name.startswith(".") for path in root.iterdir()):
            raise UserError(
                f"corpus.root={root} holds files, but no synthetic corpus; choose a new or an empty folder."
            ) from None
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return there if all(found.audio.is_file() for part in there.values() for found in part) else None


def _list(root: Path) -> dict[str, list[Utterance]]:
    splits: dict[str, list[Utterance]] = {split: [] for split in SPLITS}
    for line in (root / "utterances.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        splits[entry["split"]].append(
            Utterance(entry["id"], root / entry["audio"], entry["text"], speaker=entry["voice"])
        )
    return splits


def _make(root: Path, counts: dict[str, int], settings: Settings, fingerprint: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.progress import track

    from speechrnn.audio import save_audio
    from speechrnn.data.corpora.synthesis import draw, record

    # First, so that a folder that an interruption left unfinished is known as ours.
    _mark(root, {"complete": False, "fingerprint": fingerprint})
    for split in SPLITS:
        for path in (root / split).glob(f"{split}-?????.flac"):
            path.unlink()
    entries, words = [], []
    console = Console(stderr=True)
    drawn = [(split, draw(settings, split, index)) for split in SPLITS for index in range(counts[split])]
    for split, each in track(drawn, "Speaking", console=console, transient=True, disable=not console.is_terminal):
        speech = record(each, settings.sampling_rate)
        name = f"{split}/{each.id}.flac"
        save_audio(root / name, speech.samples, settings.sampling_rate)
        seconds = len(speech.samples) / settings.sampling_rate
        entries.append({"split": split, "audio": name, "duration": round(seconds, 4), **asdict(each)})
        if speech.words:
            words.append({"id": each.id, "words": [asdict(word) for word in speech.words]})
    for file_name, records in (("utterances.jsonl", entries), ("words.jsonl", words)):
        with atomic_write(root / file_name) as file:
            file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in records)
    _mark(root, {"complete": True, "fingerprint": fingerprint})


def _mark(root: Path, marker: dict[str, Any]) -> None:
    with atomic_write(root / "synthetic.json") as file:
        json.dump(marker, file, ensure_ascii=False, indent=2)
        file.write("\n")
