"""Warnings of transcripts: facts about a recording for which its words deserve doubt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

CHANNELS_CANCEL = "channels_cancel"

_DESCRIPTIONS = {CHANNELS_CANCEL: "channels that cancel each other out"}


@dataclass(frozen=True)
class TranscriptWarning:
    """Say why the words of a transcript deserve doubt.

    >>> channels_cancel(1).kind
    'channels_cancel'

    Attributes:
        kind: a name for programs.
        message: one sentence for people.
    """

    kind: str
    message: str


def channels_cancel(channel: int) -> TranscriptWarning:
    """Return the warning of a recording of which one channel was transcribed, since the mix is nearly silent."""
    return TranscriptWarning(
        CHANNELS_CANCEL,
        f"The channels cancel each other out, so channel {channel} was transcribed instead of their mix.",
    )


def summarise_warnings(warned: Sequence[Sequence[str]], total: int, where: str = "") -> str:
    """Return one sentence about the warnings of a job.

    >>> summarise_warnings([["channels_cancel"], ["channels_cancel"]], total=10)
    'Warnings about 2 of 10 files: channels that cancel each other out (2).'

    Args:
        warned: kinds of warnings of each file that has some.
        total: files of the job.
        where: the warnings can be read, such as "see hypotheses.jsonl".
    """
    counts = Counter(kind for kinds in warned for kind in set(kinds))
    kinds = ", ".join(f"{_DESCRIPTIONS.get(kind, kind)} ({number:,})" for kind, number in sorted(counts.items()))
    return f"Warnings about {len(warned):,} of {total:,} files: {kinds}{where and f'; {where}'}."
