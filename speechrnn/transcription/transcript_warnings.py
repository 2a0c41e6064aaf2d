"""Warnings of transcripts: facts about a recording that make its words doubtful."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from speechrnn.data.training_facts import TrainingFacts

CHANNELS_CANCEL, NARROW_BAND, UNFAMILIAR = "channels_cancel", "narrow_band", "unfamiliar"

_DESCRIPTIONS = {
    CHANNELS_CANCEL: "channels that cancel each other out",
    NARROW_BAND: "a narrower band than the model was trained on",
    UNFAMILIAR: "sound unlike what the model was trained on",
}


@dataclass(frozen=True)
class TranscriptWarning:
    """Hold a reason to doubt the words of a transcript.

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


def narrow_band(rate: int, lowest: int) -> TranscriptWarning:
    """Return the warning of a recording with a narrower band than the model was trained on.

    Args:
        rate: sampling rate of the recording, Hz.
        lowest: the lowest one that the model was trained on, Hz.
    """
    return TranscriptWarning(
        NARROW_BAND,
        f"The sampling rate is {rate} Hz, and the model was trained on recordings of {lowest} Hz and more: expect more "
        "errors, and choose a model for telephone speech.",
    )


def unfamiliar(ratio: float, training: TrainingFacts | None) -> TranscriptWarning:
    """Return the warning of a recording that is unlike the model's training data.

    Args:
        ratio: the model's uncertainty on the recording over that on its dev part.
        training: what the model was trained on; None: not known.
    """
    facts = f" ({training.describe()})" if training is not None else ""
    return TranscriptWarning(
        UNFAMILIAR,
        f"The sound is unlike what the model was trained on{facts}: the model is {ratio:.1f} times as unsure as on "
        "speech of that kind, and many words may be wrong.",
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
