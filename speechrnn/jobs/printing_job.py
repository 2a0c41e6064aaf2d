"""Transcribe inputs without an output folder: words are printed, and no file and no journal is written."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import cast

from speechrnn.core.errors import UserError
from speechrnn.core.plural import count
from speechrnn.jobs.channels import assign_channels
from speechrnn.jobs.executors import Lost, MakeWorker, Worker, make_executor
from speechrnn.jobs.inputs import Input
from speechrnn.jobs.transcript_printer import TranscriptPrinter
from speechrnn.jobs.transcription_job import (
    Progress,
    Summary,
    TranscriptionJobOptions,
    lost_outcome,
    print_reasons,
    print_warnings,
)
from speechrnn.jobs.transcription_worker import Outcome, TranscriptionWorker, outcomes
from speechrnn.transcription.options import TranscriptionOptions
from speechrnn.transcription.transcriber import Transcriber
from speechrnn.transcription.transcript import Failure
from speechrnn.transcription.writers import Writer, find_writers

PLAIN = ("txt", "json")  # the formats of a job that names none
WITH_NAMES = (".json", ".ctm")  # suffixes of formats that name the recording


def run_printing_job(job: TranscriptionJobOptions, options: TranscriptionOptions, inputs: Sequence[Input]) -> Summary:
    """Transcribe the inputs in their order, print their words, and print a summary on standard error.

    In this process, words are printed as soon as they are found; other executors give whole recordings.

    Args:
        job: formats and executor.
        options: settings of the transcriber.
        inputs: all of them.

    Raises:
        UserError: what needs a folder is printed: several formats, or subtitles of several recordings; see
            `Transcriber.load`.
    """
    inputs = assign_channels(inputs, job.channels)
    printer = TranscriptPrinter(inputs, _writer(job, len(inputs)))
    executor = make_executor(job.executor, options.device)
    worker = TranscriptionWorker(
        job.model, replace(options, threads=job.executor.worker_threads), job.remote, ordered=True
    )

    def make_local_worker() -> Worker:
        transcriber = Transcriber.from_options(worker.model, worker.options)
        return lambda items: outcomes(transcriber, items, job.remote, ordered=True, on_segment=printer.add)

    make_worker: MakeWorker = make_local_worker if job.executor.name == "local" else worker
    results = cast("Generator[Outcome | Lost, None, None]", executor.run(make_worker, inputs, ordered=True))
    progress, reasons, warned = Progress(), list[str](), list[list[str]]()
    began = time.monotonic()
    try:
        with contextlib.closing(results):
            for result in results:
                outcome = lost_outcome(result) if isinstance(result, Lost) else result
                if isinstance(outcome.result, Failure):
                    reasons.append(outcome.result.reason)
                    printer.finish(outcome.input, None)
                    continue
                printer.finish(outcome.input, outcome.result)
                progress.files += 1
                progress.seconds += outcome.result.duration
                progress.engines.add(outcome.engine)
                if outcome.result.warnings:
                    warned.append([warning.kind for warning in outcome.result.warnings])
                if outcome.result.incomplete is not None:
                    reasons.append(outcome.result.incomplete)
    except KeyboardInterrupt:
        print("\nspeechrnn: interrupted.", file=sys.stderr)
        return Summary(done=False, interrupted=True)
    _summarise(progress, reasons, len(inputs), elapsed=time.monotonic() - began)
    print_warnings(warned, transcribed=progress.files, model=job.model)
    return Summary(done=not reasons, interrupted=False)


def _writer(job: TranscriptionJobOptions, recordings: int) -> Writer | None:
    """Return the writer of the one format that is asked for; None for words as they are found.

    Raises:
        UserError: several formats, or one that cannot hold the transcripts of so many recordings.
    """
    if set(job.formats) == set(PLAIN) or tuple(job.formats) == ("txt",):
        return None
    writers = find_writers(job.formats, job.subtitles)
    if len(writers) > 1:
        raise UserError(f"formats=[{','.join(job.formats)}] are several files: add output=DIR, or name one format.")
    if recordings > 1 and writers[0].suffix not in WITH_NAMES:
        raise UserError(
            f"formats=[{job.formats[0]}] of {recordings:,} recordings are as many files: add output=DIR, or choose "
            "formats=[json]."
        )
    return writers[0]


def _summarise(progress: Progress, reasons: Sequence[str], total: int, elapsed: float) -> None:
    """Print on standard error how many recordings were transcribed, and which were not, or only in part."""
    if progress.files:
        print(f"{count(progress.files, 'file')}, {progress.format_speed(elapsed)}", file=sys.stderr)
    if reasons:
        print(f"{len(reasons):,} of {total:,} could not be transcribed, or only in part:", file=sys.stderr)
        print_reasons(reasons)
