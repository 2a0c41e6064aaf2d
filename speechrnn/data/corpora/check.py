"""Check the utterances of a corpus: those that can be used, and for the others the reason."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from speechrnn.audio import AudioError, AudioInfo, audio_info
from speechrnn.data.corpora import CorpusOptions, Utterance
from speechrnn.text.normalisation import NormalisationOptions, normalise

_READERS = 8  # threads that open audio files: the wait is for the disk or the network, not for the processor
_TOLERANCE = 0.1  # seconds by which manifests round durations

# Reasons why an utterance is left out; the summary has a count of each
MISSING_AUDIO = "missing audio"
NO_TRANSCRIPT = "audio without transcript"
EMPTY_TRANSCRIPT = "empty transcript"
UNREADABLE = "unreadable audio"
OUTSIDE = "outside the audio"
TWICE = "listed twice"

Stamp = tuple[int, int]  # size in bytes and time of change in ns of an audio file


@dataclass(frozen=True)
class Accepted:
    """An utterance that has passed all checks.

    Attributes:
        info: of its recording.
        text: normalised.
        duration: seconds.
        file: path of its recording without links and `..`, the same for all utterances of it.
    """

    utterance: Utterance
    info: AudioInfo
    text: str
    duration: float
    file: str


@dataclass(frozen=True)
class Rejected:
    """An utterance that is left out."""

    utterance: Utterance
    reason: str
    detail: str = ""


def stamp(path: Path) -> Stamp | None:
    """Return size and time of change of a file; None where there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):  # ValueError: NUL in the name
        return None
    return status.st_size, status.st_mtime_ns


def escape(text: str) -> str:
    """Return a text that can be written to a file: bytes of a file's name that are no UTF-8 as escapes.

    >>> escape("caf\\udce9.wav")
    'caf\\\\udce9.wav'
    """
    return text.encode("utf-8", "backslashreplace").decode()


def check(
    split: str,
    utterances: Sequence[Utterance],
    stamps: Sequence[Stamp | None],
    options: CorpusOptions,
    normalisation: NormalisationOptions,
    seen: set[tuple[str, float, int | None]],
) -> tuple[list[Accepted], list[Rejected]]:
    """Open the audio of each utterance of a split (headers only) and sort out what cannot be used.

    Args:
        split: "train", "dev" or "test"; `options.max_seconds` holds for "train" alone.
        utterances: as the corpus lists them.
        stamps: of their audio files, from `stamp`.
        options: limits in seconds.
        normalisation: of the transcripts.
        seen: (file, start, channel) of what was accepted so far, in other splits too; added to.
    """
    from rich.console import Console
    from rich.progress import track

    accepted, rejected = [], []
    console = Console(stderr=True)
    infos = track(
        _infos(utterances, stamps),
        f"Reading {options.name}, {split}",
        len(utterances),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    for utterance, info in zip(utterances, infos, strict=True):
        outcome = _judge(utterance, info, options, normalisation=normalisation, seen=seen, training=split == "train")
        if isinstance(outcome, Accepted):
            accepted.append(outcome)
        else:
            rejected.append(outcome)
    return accepted, rejected


def _infos(utterances: Sequence[Utterance], stamps: Sequence[Stamp | None]) -> Iterator[AudioInfo | AudioError | None]:
    """Return the header of each utterance's audio file, in order; None where there is no file. Each is opened once."""
    paths = list(dict.fromkeys(u.audio for u, stamp in zip(utterances, stamps, strict=True) if stamp is not None))
    known: dict[Path, AudioInfo | AudioError] = {}
    pool = ThreadPoolExecutor(_READERS)
    try:
        found = zip(paths, pool.map(_info, paths), strict=True)
        for utterance, stamp in zip(utterances, stamps, strict=True):
            if stamp is None:
                yield None
                continue
            while utterance.audio not in known:
                path, info = next(found)
                known[path] = info
            yield known[utterance.audio]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # interrupted, it would go through all the rest first


def _info(path: Path) -> AudioInfo | AudioError:
    try:
        return audio_info(path)
    except AudioError as error:
        return error


def _judge(
    utterance: Utterance,
    info: AudioInfo | AudioError | None,
    options: CorpusOptions,
    normalisation: NormalisationOptions,
    seen: set[tuple[str, float, int | None]],
    training: bool,
) -> Accepted | Rejected:
    if utterance.left_out is not None:
        return Rejected(utterance, utterance.left_out)
    if info is None:
        return Rejected(utterance, MISSING_AUDIO)
    if escape(str(utterance.audio)) != str(utterance.audio):
        return Rejected(utterance, UNREADABLE, "its name is no UTF-8; rename the file")
    if utterance.text is None:
        return Rejected(utterance, NO_TRANSCRIPT)
    text = normalise(utterance.text, normalisation)
    if not text.strip():
        return Rejected(utterance, EMPTY_TRANSCRIPT, f"the transcript is {utterance.text!r}")
    if isinstance(info, AudioError):
        return Rejected(utterance, UNREADABLE, str(info))
    file = os.path.realpath(utterance.audio)  # two manifests may name one file in two ways
    key = (file, utterance.start, utterance.channel)
    if key in seen:
        return Rejected(utterance, TWICE)
    seen.add(key)
    rest = info.duration - utterance.start
    duration = rest if utterance.duration is None else utterance.duration
    has_channel = 0 <= (utterance.channel or 0) < info.channels
    if rest <= 0 or duration <= 0 or duration > rest + _TOLERANCE or not has_channel:
        return Rejected(
            utterance,
            OUTSIDE,
            f"from {utterance.start:.3f} s for {duration:.3f} s, channel {utterance.channel}, but the file has "
            f"{info.duration:.3f} s and {info.channels} channels",
        )
    if utterance.start == 0 and abs(rest - duration) <= _TOLERANCE:
        duration = rest
    duration = min(duration, rest)
    if duration < options.min_seconds:
        return Rejected(utterance, f"shorter than {options.min_seconds:g} s", f"{duration:.3f} s")
    if training and options.max_seconds is not None and duration > options.max_seconds:
        return Rejected(utterance, f"longer than {options.max_seconds:g} s", f"{duration:.3f} s")
    return Accepted(utterance, info, text, duration=duration, file=file)
