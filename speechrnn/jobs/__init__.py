"""Resumable jobs over many inputs: journal, inputs, outputs, workers and executors.

The names below are imported when they are first used, since torch takes seconds to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechrnn.core.lazy import lazy_names

if TYPE_CHECKING:
    from speechrnn.jobs.generation_job import GenerationJobOptions, run_generation_job
    from speechrnn.jobs.inputs import Input, find_inputs
    from speechrnn.jobs.journal import Journal
    from speechrnn.jobs.transcription_job import TranscriptionJobOptions, run_transcription_job

__all__ = [
    "GenerationJobOptions",
    "Input",
    "Journal",
    "TranscriptionJobOptions",
    "find_inputs",
    "run_generation_job",
    "run_transcription_job",
]

_MODULES = {
    "generation_job": (
        "GenerationJobOptions",
        "run_generation_job",
    ),
    "inputs": (
        "Input",
        "find_inputs",
    ),
    "journal": ("Journal",),
    "transcription_job": (
        "TranscriptionJobOptions",
        "run_transcription_job",
    ),
}

__getattr__ = lazy_names(__name__, _MODULES)
