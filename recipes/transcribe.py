"""Transcribe audio files.

Files, folders, globs, lists, addresses or standard input (`speechrnn transcribe talk.mp3 calls/`) are transcribed. The
words are printed as they are found, or with output=DIR written into files, every word with its time and confidence.
Inputs that cannot be read are listed at the end, and the others are transcribed; an interrupted job
goes on when the same command is given again.
"""

from __future__ import annotations

from omegaconf import DictConfig

from speechrnn.cli.interrupt import INTERRUPTED
from speechrnn.cli.main import FAILED, OK, recipe
from speechrnn.core.config import options_from
from speechrnn.core.temporary import temporary_folder
from speechrnn.jobs.inputs import find_inputs
from speechrnn.jobs.printing_job import run_printing_job
from speechrnn.jobs.transcription_job import TranscriptionJobOptions, run_transcription_job, with_directories
from speechrnn.transcription.options import TranscriptionOptions


@recipe("transcribe")
def main(config: DictConfig) -> int:
    """Print what is found; or write a file for each recording and format, and `hypotheses.jsonl`."""
    job = options_from(config, TranscriptionJobOptions)
    options = options_from(config, TranscriptionOptions)
    job, options = with_directories(job, options)
    run = run_printing_job if job.output is None else run_transcription_job
    with temporary_folder() as spool:  # for a recording from standard input
        summary = run(job, options, find_inputs(job.inputs, spool, remote=job.remote))
    if summary.interrupted:
        return INTERRUPTED
    return OK if summary.done else FAILED


if __name__ == "__main__":
    main()
