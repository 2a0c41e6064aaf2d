"""Run a transcription job: choose what is left, transcribe it, write files and record, summarise."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

from speechrnn.audio.vad import detector_name
from speechrnn.core.errors import UserError
from speechrnn.core.failures import raise_if_fatal
from speechrnn.core.plural import count
from speechrnn.core.progress import Bar, in_words, speed_in_words
from speechrnn.evaluation.hypotheses import HYPOTHESES
from speechrnn.jobs.channels import assign_channels
from speechrnn.jobs.executors import Executor, ExecutorOptions, Lost, device_type, make_executor
from speechrnn.jobs.fingerprint import fingerprint
from speechrnn.jobs.inputs import Input
from speechrnn.jobs.interruption import Interruption
from speechrnn.jobs.log import JobLog
from speechrnn.jobs.outputs import Outputs, check_output_folder
from speechrnn.jobs.storage import RemoteOptions
from speechrnn.jobs.transcription_record import (
    DONE,
    FAILED,
    INCOMPLETE,
    JOURNAL,
    LEFT,
    InputState,
    TranscriptionRecord,
)
from speechrnn.jobs.transcription_worker import Outcome, TranscriptionWorker
from speechrnn.nn.checkpoint import load_model
from speechrnn.transcription.bundle import resolve_models
from speechrnn.transcription.options import NO_EFFECT, TranscriptionOptions
from speechrnn.transcription.recognizer import warn_uncalibrated
from speechrnn.transcription.transcript import Failure
from speechrnn.transcription.transcript_warnings import UNFAMILIAR, summarise_warnings
from speechrnn.transcription.unfamiliar import describe_job
from speechrnn.transcription.writers import SubtitleOptions, find_writers

FAILURES_SHOWN = 20  # the journal has them all
LOG = "job.log"  # in the output folder, where errors were not foreseen


@dataclass(frozen=True)
class TranscriptionJobOptions:
    """Hold the settings of a transcription job beside those of the transcriber; conf/transcribe.yaml explains them.

    >>> job = TranscriptionJobOptions(
    ...     model=Path("outputs/demo/acoustic"),
    ...     inputs=("talks",),
    ...     output=Path("transcripts"),
    ...     formats=("txt", "srt"),
    ...     subtitles=SubtitleOptions(),
    ...     retry_failed=False,
    ...     overwrite=False,
    ...     executor=ExecutorOptions(),
    ...     remote=RemoteOptions(),
    ... )
    >>> job.formats
    ('txt', 'srt')

    Attributes:
        model: the acoustic model, a name or a directory; `with_directories` puts the directory there.
        inputs: files, folders, globs, addresses, lists, or "-".
        output: folder of the transcripts; None: they are printed, see `run_printing_job`.
        formats: which files to write, see `find_writers`.
        subtitles: layout of srt and vtt.
        retry_failed: try failed and incomplete inputs again.
        overwrite: forget what was done.
        executor: where the work is done.
        remote: which addresses may be read.
        channels: which channels of a recording are transcribed.
    """

    model: Path
    inputs: str | tuple[str, ...] = field(metadata=NO_EFFECT)  # each has a state of its own
    output: Path | None = field(metadata=NO_EFFECT)
    formats: tuple[str, ...]
    subtitles: SubtitleOptions
    retry_failed: bool = field(metadata=NO_EFFECT)
    overwrite: bool = field(metadata=NO_EFFECT)
    executor: ExecutorOptions = field(metadata=NO_EFFECT)
    remote: RemoteOptions = field(default=RemoteOptions(), metadata=NO_EFFECT)
    channels: int | Literal["mix", "split"] = field(default="mix", metadata={"min": 0})


@dataclass
class Progress:
    """Count what this process has done.

    Attributes:
        files: that were transcribed.
        seconds: of audio.
        engines: names of what ran the networks.
        interrupted: whether it was asked to end before the job did.
    """

    files: int = 0
    seconds: float = 0.0
    engines: set[str] = field(default_factory=set)
    interrupted: bool = False

    def format_speed(self, elapsed: float) -> str:
        """Return the amount of audio and the speed, given the seconds of work."""
        engines = f" by {' and '.join(sorted(filter(None, self.engines)))}" if any(self.engines) else ""
        speed = speed_in_words(self.seconds, elapsed)
        return f"{in_words(self.seconds)} of audio in {in_words(elapsed)}{engines} ({speed})"


@dataclass(frozen=True)
class Summary:
    """Tell how a job stands, all its processes together.

    Attributes:
        done: whether all inputs are transcribed whole.
        interrupted: whether this process was asked to end, and inputs are left.
    """

    done: bool
    interrupted: bool


def run_transcription_job(
    job: TranscriptionJobOptions, options: TranscriptionOptions, inputs: Sequence[Input]
) -> Summary:
    """Transcribe what is left of the inputs into files, and print how the job stands.

    >>> run_transcription_job(job, TranscriptionOptions(), find_inputs("talks")).failed  # doctest: +SKIP
    0

    Args:
        job: output, formats and executor.
        options: settings of the transcriber.
        inputs: all of them.

    Raises:
        UserError: the output belongs to another job, or nothing can be written.
    """
    output = job.output
    if output is None:
        raise UserError("A job needs a folder for its transcripts: give output=DIR.")
    check_output_folder(output)
    writers = find_writers(job.formats, job.subtitles)
    made_with = job_fingerprint(job, options)
    inputs = assign_channels(inputs, job.channels)
    executor = make_executor(job.executor, options.device)
    worker = TranscriptionWorker(job.model, replace(options, threads=job.executor.worker_threads), job.remote)
    with TranscriptionRecord(output, made_with, job.overwrite) as record:
        outputs = Outputs(output, writers)
        left = outputs.prepare(record, inputs, job.overwrite, job.retry_failed)
        began = time.monotonic()
        log = JobLog(output / LOG)
        progress = transcribe(executor, worker, record, outputs=outputs, log=log, left=left, total=len(inputs))
        outputs.finish(record)
    elapsed = time.monotonic() - began
    summary = summarise(output, record.states, inputs, left=len(left), progress=progress, elapsed=elapsed)
    states = [record.states[item.id] for item in inputs]
    print_warnings(
        [state.warnings for state in states if state.warnings],
        transcribed=sum(state.status in (DONE, INCOMPLETE) for state in states),
        model=job.model,
        where=f"see {output / HYPOTHESES}",
    )
    if log.written:
        print(f"The tracebacks of unexpected errors are in {log.path}.", file=sys.stderr)
    return summary


def with_directories(
    job: TranscriptionJobOptions, options: TranscriptionOptions
) -> tuple[TranscriptionJobOptions, TranscriptionOptions]:
    """Return the settings with the directories of all models, which fingerprints and workers need.

    Log a warning where confidences were calibrated for other options.

    Raises:
        UserError: there is no model of that name, or none in that directory.
    """
    model, options = resolve_models(job.model, options)
    check_models(model, options)
    warn_uncalibrated(model, options.search, options.language_model)
    return replace(job, model=model), options


def check_models(model: Path, options: TranscriptionOptions) -> None:
    """Raise UserError where a model is missing, damaged, or of another kind, before anything is begun."""
    load_model(model, "acoustic")
    if options.language_model is not None:
        load_model(options.language_model, "language")


def job_fingerprint(job: TranscriptionJobOptions, options: TranscriptionOptions) -> dict[str, Any]:
    """Return all that the transcripts depend on but for the recordings.

    Raises:
        UserError: a file cannot be read.
    """
    settings = fingerprint(options)
    settings["segmentation"]["vad"] = detector_name(options.segmentation.vad)  # "auto" changes with what is installed
    return {
        **fingerprint(job),
        "formats": sorted(set(job.formats)),
        **settings,
        "device": device_type(options.device, job.executor),
    }


def transcribe(
    executor: Executor,
    worker: TranscriptionWorker,
    record: TranscriptionRecord,
    *,
    outputs: Outputs,
    log: JobLog,
    left: Sequence[Input],
    total: int,
) -> Progress:
    """Transcribe inputs, and write the result of each: first its files, then its line in the journal.

    Args:
        executor: does the work.
        worker: transcribes.
        record: of the job.
        outputs: takes the transcripts.
        log: takes the tracebacks of unexpected errors.
        left: the inputs.
        total: inputs of the job, those that are done included.
    """
    progress = Progress()
    if not left:
        return progress
    sizes = [state[0] for item in left if (state := item.file_state()) is not None]
    sizes_known = len(sizes) == len(left)
    bar = Bar("files", total, total - len(left), work=sum(sizes) if sizes_known else None)
    began = time.monotonic()

    def stop() -> None:
        executor.stop()
        bar.note("stopping when what is begun is done; Ctrl-C again ends at once")

    results = cast("Generator[Outcome | Lost, None, None]", executor.run(worker, left))
    with Interruption(stop) as interruption, contextlib.closing(results), bar:
        for result in results:
            outcome = lost_outcome(result) if isinstance(result, Lost) else result
            outcome, status = record_outcome(outcome, record, outputs)
            if isinstance(outcome.result, Failure):
                log.add(outcome.input.source, outcome.result.details)
            else:
                progress.files += status != FAILED
                progress.seconds += outcome.result.duration
                progress.engines.add(outcome.engine)
            speed = speed_in_words(progress.seconds, time.monotonic() - began)
            size = outcome.file_state[0] if outcome.file_state is not None and sizes_known else 1.0
            bar.step(f"{in_words(progress.seconds)} of audio, {speed}", status == FAILED, size)
            if interruption.expired:
                break
    progress.interrupted = interruption.requested is not None
    return progress


def print_reasons(reasons: Sequence[str], rest: str = "") -> None:
    """Print the first reasons on standard error, and how many more there are; `rest` says where these are."""
    for reason in reasons[:FAILURES_SHOWN]:
        print(f"  {reason}", file=sys.stderr)
    if len(reasons) > FAILURES_SHOWN:
        print(f"  ... and {len(reasons) - FAILURES_SHOWN:,} more{rest}", file=sys.stderr)


def print_warnings(warned: Sequence[Sequence[str]], transcribed: int, model: Path, where: str = "") -> None:
    """Print on standard error how many recordings have warnings.

    Args:
        warned: kinds of warnings of each recording that has some.
        transcribed: recordings with a transcript.
        model: directory of the acoustic model.
        where: see `summarise_warnings`.
    """
    unfamiliar = describe_job(warned, transcribed, model)
    if unfamiliar is not None:
        print(unfamiliar, file=sys.stderr)
        warned = [others for kinds in warned if (others := [kind for kind in kinds if kind != UNFAMILIAR])]
    if warned:
        print(summarise_warnings(warned, transcribed, where), file=sys.stderr)


def lost_outcome(lost: Lost) -> Outcome:
    """Make the outcome of an input at which its workers died."""
    item: Input = lost.item
    return Outcome(item, Failure(item.source, f"{item.source}: {lost.reason}"), item.file_state())


def record_outcome(outcome: Outcome, record: TranscriptionRecord, outputs: Outputs) -> tuple[Outcome, str]:
    """Write the files and the journal line of an input.

    Returns:
        The outcome, which is a failure where the files cannot be written, and its status: DONE, FAILED or INCOMPLETE.

    Raises:
        UserError: nothing can be written any more.
    """
    item, result = outcome.input, outcome.result
    record.journal.check_present()
    if not isinstance(result, Failure):
        try:
            outputs.write(item.id, result)
        except Exception as error:
            raise_if_fatal(error)
            result = Failure.of(item.source, error)
        if not record.journal.present:  # removed with the folder, which the writing has made again
            outputs.remove([item.id])
            record.journal.check_present()
    if isinstance(result, Failure):
        outputs.remove([item.id])  # of an earlier version of the recording
        record.record(item, FAILED, result.reason, outcome.file_state)
        return replace(outcome, result=result), FAILED
    status = DONE if result.incomplete is None else INCOMPLETE
    kinds = [warning.kind for warning in result.warnings]
    record.record(item, status, result.incomplete, outcome.file_state, warnings=kinds)
    return outcome, status


def summarise(
    output: Path,
    states: Mapping[str, InputState],
    inputs: Sequence[Input],
    *,
    left: int,
    progress: Progress,
    elapsed: float,
) -> Summary:
    """Print how the job stands, all its processes together.

    Args:
        output: folder of the job.
        states: of all inputs.
        inputs: of this command.
        left: how many were left when this process began.
        progress: of this process.
        elapsed: seconds of work.
    """
    before = len(inputs) - left
    transcribed = sum(states[item.id].status in (DONE, INCOMPLETE) for item in inputs)
    done = all(states[item.id].status == DONE for item in inputs)
    if not left and done:
        print(f"{output} is finished: nothing to do; overwrite=true would make it anew.")
    elif not left:
        print(f"{output} has transcripts of {transcribed:,} of {len(inputs):,} files; all were tried before.")
    elif not progress.files:
        already = f"; {before:,} were tried before" if before else ""
        print(f"No file was transcribed{already}: {output}")
    else:
        already = f" ({before:,} were there already)" if before else ""
        print(f"{count(progress.files, 'file')}{already}, {progress.format_speed(elapsed)}: {output}")
    for status, sentence in ((FAILED, "could not be transcribed"), (INCOMPLETE, "could be transcribed only in part")):
        reasons = sorted(states[item.id].reason or "" for item in inputs if states[item.id].status == status)
        if reasons:
            print(f"{len(reasons):,} of {len(inputs):,} {sentence}; retry_failed=true tries again:", file=sys.stderr)
            print_reasons(reasons, f" in {output / JOURNAL}")
    remaining = sum(states[item.id].status == LEFT for item in inputs)
    interrupted = progress.interrupted and remaining > 0
    if interrupted:
        print(f"{remaining:,} of {len(inputs):,} are left: give the same command to go on.", file=sys.stderr)
    return Summary(done=done, interrupted=interrupted)
