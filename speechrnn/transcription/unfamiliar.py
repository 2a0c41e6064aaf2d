"""Recordings, and jobs of recordings, that are unlike what a model was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from speechrnn.core.errors import UserError
from speechrnn.data.training_facts import TrainingFacts
from speechrnn.decoding.model_facts import ModelFacts, read_facts
from speechrnn.decoding.uncertainty import Uncertainty
from speechrnn.transcription.bundle import model_name
from speechrnn.transcription.transcript import DecodedSegment
from speechrnn.transcription.transcript_warnings import UNFAMILIAR, TranscriptWarning, unfamiliar

CLOSE_RATE = 0.9  # of a rate; recordings of this rate count as having the same band
JOB_SHARE = 1 / 3  # of the recordings; a job with more unfamiliar ones is unfamiliar as a whole


def find_unfamiliar(segments: Sequence[DecodedSegment], facts: ModelFacts) -> list[TranscriptWarning]:
    """Return a warning where the recording lies far from the model's dev part, else none.

    >>> find_unfamiliar([], ModelFacts())
    []

    Args:
        segments: of the recording, with their uncertainties. Without words there is nothing to doubt.
        facts: about the model.
    """
    if facts.dev is None or not any(segment.result.words for segment in segments):
        return []
    total = sum((segment.uncertainty for segment in segments if segment.uncertainty is not None), Uncertainty())
    if not facts.dev.is_far(total):
        return []
    return [unfamiliar(facts.dev.ratio(total), facts.training)]


def describe_job(warned: Sequence[Sequence[str]], transcribed: int, model: Path) -> str | None:
    """Return one sentence where a job as a whole is unlike what its model was trained on; None where it is not.

    Args:
        warned: kinds of warnings of each recording that has some.
        transcribed: recordings with a transcript.
        model: directory of the acoustic model.
    """
    number = sum(UNFAMILIAR in kinds for kinds in warned)
    if number <= JOB_SHARE * transcribed:
        return None
    try:
        training = read_facts(model).training
    except UserError:  # damaged since the job began
        training = None
    facts = f" ({training.describe()})" if training is not None else ""
    files = "The recording sounds" if transcribed == 1 else f"{number:,} of {transcribed:,} files sound"
    return (
        f"{files} unlike what {model_name(model)} was trained on{facts}: many "
        "words may be wrong; choose another model, or fine-tune this one (init_from=)."
    )


def lowest_rate(training: TrainingFacts | None, sampling_rate: int) -> int | None:
    """Return the sampling rate in Hz below which recordings lack a band that the model was trained on; None: none.

    Args:
        training: what the model was trained on; None: not known.
        sampling_rate: of the model, Hz, which limits the band that it sees.
    """
    if training is None or training.lowest_rate is None:
        return None
    return min(training.lowest_rate, sampling_rate)
