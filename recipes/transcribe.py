"""Audio files in, transcripts out.

Files, folders, globs, lists, addresses or standard input are transcribed by an acoustic model, every word with its time
and confidence. What cannot be read is said at the end, and the rest goes on; a job that was interrupted goes on when
the same command is given again.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig

from speechrnn.audio.segmentation import SegmentationOptions
from speechrnn.cli.main import FAILED, INTERRUPTED, OK, recipe
from speechrnn.core.config import build
from speechrnn.core.progress import Bar, in_words
from speechrnn.decoding.fusion import DecodingOptions
from speechrnn.decoding.tuned_weights import FILE as TUNED
from speechrnn.jobs.executors import Executor, ExecutorOptions, Lost, make_executor
from speechrnn.jobs.inputs import Input, find_inputs
from speechrnn.jobs.journal import digest
from speechrnn.jobs.outputs import Outputs
from speechrnn.jobs.transcription_job import DONE, INCOMPLETE, Interruption, Job, State
from speechrnn.jobs.transcription_job import FAILED as FAILURE
from speechrnn.jobs.transcription_worker import Outcome, TranscribeWorker
from speechrnn.nn.checkpoint import DESCRIPTION, WEIGHTS, load_model
from speechrnn.transcription.runtime import EngineName, Precision
from speechrnn.transcription.transcript import Failure
from speechrnn.transcription.writers import SubtitleOptions, find_writers

SHOWN = 20  # failures that are printed; job.jsonl has them all


@dataclass(frozen=True)
class TranscribeOptions:
    """The keys of the recipe; conf/transcribe.yaml explains them."""

    model: Path
    inputs: str | tuple[str, ...]
    output: Path
    formats: tuple[str, ...]
    subtitles: SubtitleOptions
    retry_failed: bool
    overwrite: bool
    decoding: DecodingOptions
    language_model: Path | None
    segmentation: SegmentationOptions
    engine: EngineName
    precision: Precision
    executor: ExecutorOptions
    batch_seconds: float = field(metadata={"min": 0.1})
    device: str


@dataclass
class Tally:
    """What this process has done.

    Attributes:
        seconds: of audio.
        engines: what ran the networks.
        stopped: whether it was asked to end before the job did.
    """

    files: int = 0
    seconds: float = 0.0
    engines: set[str] = field(default_factory=set)
    stopped: bool = False


@recipe("transcribe")
def main(config: DictConfig) -> int:
    """Each recording becomes one file a format, and all of them become `hypotheses.jsonl`."""
    options = build(TranscribeOptions, config, "")
    writers = find_writers(options.formats, options.subtitles)
    made_with = ingredients(options)
    executor = make_executor(options.executor, options.device)
    with tempfile.TemporaryDirectory(prefix="speechrnn-") as spool:  # for a recording from standard input
        inputs = find_inputs(options.inputs, Path(spool))
        with Job(options.output, made_with) as job:
            outputs = Outputs(options.output, writers)
            left = outputs.prepare(job, inputs, options.overwrite, options.retry_failed)
            began = time.monotonic()
            tally = transcribe(executor, worker(options), job, outputs, left, len(inputs))
            outputs.finish(job)
    return summary(options.output, job.states, inputs, len(left), tally, time.monotonic() - began)


def ingredients(options: TranscribeOptions) -> dict[str, Any]:
    """All that the transcripts depend on but for the recordings. UserError where a model is missing or damaged."""
    found: dict[str, Any] = {}
    for key, kind, folder in [
        ("model", "acoustic", options.model),
        ("language_model", "language", options.language_model),
    ]:
        if folder is not None:
            load_model(folder, kind)
            tuned = [folder / TUNED] if (folder / TUNED).is_file() else []
            found[key] = digest(folder / DESCRIPTION, folder / WEIGHTS, *tuned)
    decoding = {
        key: str(value) if isinstance(value, Path) else value for key, value in asdict(options.decoding).items()
    }
    return {
        "formats": sorted(set(options.formats)),
        **found,
        "decoding": decoding,
        "engine": options.engine,
        "precision": options.precision,
        "segmentation": asdict(options.segmentation),
        "subtitles": asdict(options.subtitles),
    }


def worker(options: TranscribeOptions) -> TranscribeWorker:
    """What transcribes, wherever that is."""
    executor = options.executor
    return TranscribeWorker(
        options.model,
        options.device,
        options.decoding,
        options.language_model,
        options.engine,
        options.precision,
        options.segmentation,
        {"local": None, "processes": executor.threads, "ray": executor.cpus_per_worker}[executor.name],
        options.batch_seconds,
    )


def transcribe(
    executor: Executor, worker: TranscribeWorker, job: Job, outputs: Outputs, left: Sequence[Input], total: int
) -> Tally:
    """Has the inputs transcribed, and writes what comes of each: first its files, then its line in the record."""
    tally = Tally()
    if not left:
        return tally
    sizes = [mark[0] for one in left if (mark := one.mark()) is not None]
    bar = Bar("files", total, total - len(left), sum(sizes) if len(sizes) == len(left) else None)
    began = time.monotonic()

    def stop() -> None:
        executor.stop()
        bar.note("stopping when what is begun is done; Ctrl-C again ends at once")

    results = cast("Generator[Outcome | Lost, None, None]", executor.run(worker, left))
    with Interruption(stop) as interruption, contextlib.closing(results), bar:
        for result in results:
            outcome = given_up(result) if isinstance(result, Lost) else result
            status = settle(outcome, job, outputs)
            if not isinstance(outcome.result, Failure):
                tally.files += status != FAILURE
                tally.seconds += outcome.result.duration
                tally.engines.add(outcome.engine)
            speed = tally.seconds / (time.monotonic() - began)
            size = outcome.mark[0] if outcome.mark is not None and len(sizes) == len(left) else 1.0
            bar.step(f"{in_words(tally.seconds)} of audio, {speed:.0f} times real time", status == FAILURE, size)
            if interruption.over:
                break
    tally.stopped = interruption.asked is not None
    return tally


def given_up(lost: Lost) -> Outcome:
    """What became of an input that no worker survived."""
    one: Input = lost.item
    return Outcome(one, Failure(one.source, f"{one.source}: {lost.reason}"), one.mark())


def settle(outcome: Outcome, job: Job, outputs: Outputs) -> str:
    """Writes what came of an input; returns its status. UserError where nothing can be written any more."""
    result = outcome.result
    if isinstance(result, Failure):
        reason: str | None = result.reason
    else:
        reason = outputs.write(outcome.input.id, result)
        if reason is None:
            status = DONE if result.incomplete is None else INCOMPLETE
            job.end(outcome.input, status, result.incomplete, outcome.mark)
            return status
    outputs.remove([outcome.input.id])  # of an earlier version of the recording
    job.end(outcome.input, FAILURE, reason, outcome.mark)
    return FAILURE


def summary(
    output: Path, states: dict[str, State], inputs: Sequence[Input], left: int, tally: Tally, elapsed: float
) -> int:
    """Says how the job stands, all its processes together; returns the exit status."""
    there = len(inputs) - left
    if not left:
        print(f"{output} is finished: nothing to do; overwrite=true would make it anew.")
    else:
        engines = f" by {' and '.join(sorted(tally.engines))}" if tally.engines else ""
        before = f" ({there:,} were there already)" if there else ""
        print(
            f"{tally.files:,} {'file' if tally.files == 1 else 'files'}{before}, {in_words(tally.seconds)} of audio in "
            f"{in_words(elapsed)}{engines} ({tally.seconds / elapsed:.0f} times real time): {output}"
        )
    for status, sentence in ((FAILURE, "could not be transcribed"), (INCOMPLETE, "could be transcribed only in part")):
        reasons = sorted(states[one.id].reason or "" for one in inputs if states[one.id].status == status)
        if reasons:
            print(f"{len(reasons):,} of {len(inputs):,} {sentence}; retry_failed=true tries again:", file=sys.stderr)
            print("\n".join(f"  {reason}" for reason in reasons[:SHOWN]), file=sys.stderr)
            if len(reasons) > SHOWN:
                print(f"  ... and {len(reasons) - SHOWN:,} more in {output / 'job.jsonl'}", file=sys.stderr)
    settled = sum(states[one.id].status != "left" for one in inputs)
    if tally.stopped and settled < len(inputs):
        print(
            f"{len(inputs) - settled:,} of {len(inputs):,} are left: give the same command to go on.", file=sys.stderr
        )
        return INTERRUPTED
    return OK if all(states[one.id].status == DONE for one in inputs) else FAILED


if __name__ == "__main__":
    main()
