"""Run a generation job: a file of prompts in, a file of JSON lines out, in the same order."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from speechrnn.core.errors import UserError
from speechrnn.core.files import check_not_read
from speechrnn.core.progress import Bar
from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.predictor import TextPredictor
from speechrnn.generation.results import Result
from speechrnn.jobs.executors import ExecutorOptions, Lost, device_type, make_executor
from speechrnn.jobs.fingerprint import SHA256, digest, digest_contents, fingerprint
from speechrnn.jobs.generation_worker import GenerationOutcome, GenerationWorker, lost_outcome
from speechrnn.jobs.interruption import Interruption
from speechrnn.jobs.journal import Journal, append, json_line, open_own, parse_object, whole_lines
from speechrnn.jobs.log import JobLog
from speechrnn.jobs.prompts import count_prompts, read_prompts

RESULTS = "results"  # id of the only entry in the journal


@dataclass(frozen=True)
class GenerationJobOptions:
    """Hold the settings of a generation job beside those of the text; conf/generate.yaml explains them.

    >>> job = GenerationJobOptions(
    ...     Path("outputs/demo/language"), Path("texts.jsonl"), False, 64, "cpu", ExecutorOptions()
    ... )
    >>> job.executor.name
    'local'

    Attributes:
        model: directory of the language model.
        output: file of the results; None: they are printed.
        overwrite: forget what was done.
        batch_size: most texts that are written at a time, by each worker.
        device: on which the model computes.
        executor: where the work is done.
    """

    model: Path
    output: Path | None
    overwrite: bool
    batch_size: int = field(metadata={"min": 1})
    device: str
    executor: ExecutorOptions


@dataclass(frozen=True)
class ResultCount:
    """Count the lines of a file of results, and how many of them are errors."""

    lines: int
    errors: int


class GenerationOutput:
    """Write results in order into a file. Use as a context manager, which keeps other processes out.

    Until all results are there they are in `OUTPUT.partial`. The journal, `OUTPUT.job.jsonl`, says what they were made
    with, and stays. A killed process leaves whole lines and perhaps a torn one, which is cut off before the work goes
    on; from a line that a power cut has damaged, the work is done again.
    """

    def __init__(self, output: Path, made_with: Mapping[str, Any], overwrite: bool = False) -> None:
        """
        Args:
            output: the file.
            made_with: all that the results depend on, in JSON values; keys as a user types them.
            overwrite: what is there will be removed; see `Journal`.
        """
        self.output = output
        _, self.partial, journal = own_files(output)
        self.journal = Journal(journal, "generate", made_with, overwrite=overwrite)

    def __enter__(self) -> GenerationOutput:
        self.journal.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.journal.__exit__(kind, error, trace)

    def begin(self) -> ResultCount:
        """Prepare to write; return the counts of the results of earlier processes, unless they are overwritten.

        Raises:
            UserError: the output is there and was made by another command, or cannot be written.
        """
        try:
            if self.journal.overwrite:
                for path in (self.output, self.partial):
                    path.unlink(missing_ok=True)
                self.journal.begin(overwrite=True)
            elif self.journal.found is None and (self.output.exists() or self._has_partial()):
                raise UserError(self._foreign())
            else:
                self.journal.check_same(self.output)
                self.journal.begin()
            return self._count()
        except OSError as error:
            raise UserError(f"Cannot write {self.output}: {error.strerror}; choose another output.") from error

    @property
    def finished(self) -> bool:
        """Return whether all results are there."""
        return self.output.exists()

    @contextlib.contextmanager
    def writing(self) -> Iterator[Callable[[Result], None]]:
        """Give a function that adds a result. Without an exception, the file takes its final name at the end.

        After an exception before the first result, no partial file is left: without a journal beside it, the next
        command would refuse it as a file of another program.

        Raises:
            UserError: the file cannot be written, or was removed meanwhile.
        """
        try:
            with open_own(self.partial) as file:

                def add(result: Result) -> None:
                    if not self.journal.entries:
                        self.journal.record({"id": RESULTS, "status": "begun"})
                    append(file, json_line(result.to_json()))

                yield add
                os.fsync(file.fileno())
            self.partial.replace(self.output)
        except BaseException as error:
            if self.journal.empty and not self._has_partial():
                with contextlib.suppress(OSError):
                    self.partial.unlink(missing_ok=True)
            if not isinstance(error, OSError):
                raise
            reason = error.strerror or str(error)
            raise UserError(f"Cannot write {self.partial}: {reason}; give the command again to go on.") from error

    def _has_partial(self) -> bool:
        """Return whether something stands in the partial file."""
        return self.partial.exists() and self.partial.stat().st_size > 0

    def _count(self) -> ResultCount:
        """Count what has been written; cut off a torn line, and everything from a damaged one on."""
        if not self.output.exists() and not self.partial.exists():
            return ResultCount(0, 0)
        path = self.output if self.output.exists() else self.partial
        lines = errors = 0
        damaged = None
        with open_own(path) as file:
            size = file.seek(0, os.SEEK_END)
            for offset, line in whole_lines(file):
                result = parse_object(line)
                if result is None:
                    damaged = offset
                    file.truncate(offset)
                    break
                lines += 1
                errors += "error" in result
            torn = file.seek(0, os.SEEK_END) < size
        if damaged is not None:
            print(f"speechrnn: {path} is damaged after line {lines:,}; the rest is done again.", file=sys.stderr)
        if torn and path == self.output:
            self.output.replace(self.partial)
        return ResultCount(lines, errors)

    def _foreign(self) -> str:
        there = self.output if self.output.exists() else self.partial
        if self.output.with_name(f"{self.output.name}.job.json").is_file():
            return (
                f"{there} was begun by another version of speechrnn, which this one cannot go on with; choose another "
                "output, or overwrite=true to lose it."
            )
        return f"{there} is there already; choose another output, or overwrite=true to lose it."


def own_files(output: Path) -> tuple[Path, Path, Path]:
    """Return the files that a job writes: the results, those of a job that is not done, and the journal.

    >>> own_files(Path("texts.jsonl"))[1]
    PosixPath('texts.jsonl.partial')
    """
    return output, output.with_name(f"{output.name}.partial"), output.with_name(f"{output.name}.job.jsonl")


def run_generation_job(job: GenerationJobOptions, text: GenerationOptions, prompts: Path) -> bool:
    """Complete each prompt of a file, write one line for each, and print how the job stands.

    >>> run_generation_job(job, GenerationOptions(max_new_tokens=40), Path("prompts.txt"))  # doctest: +SKIP
    True

    Args:
        job: model, output and executor.
        text: options of prompts that set none.
        prompts: .txt or .jsonl.

    Returns:
        Whether all prompts were completed.

    Raises:
        UserError: the model or the prompts are missing or damaged, or the output belongs to another job.
        KeyboardInterrupt: the job was interrupted.
    """
    if job.output is None:
        raise UserError("output= is missing: give a file for the completions, as in output=completions.jsonl.")
    model_files = job.model.iterdir() if job.model.is_dir() else ()
    for path in own_files(job.output):
        check_not_read(path, {"prompts": [prompts], "model": model_files})
    in_this_process = job.executor.name == "local"
    # The workers of another executor load the model themselves; here it is needed to encode the prompts.
    predictor = TextPredictor.load(job.model, job.device if in_this_process else "cpu")
    total = count_prompts(prompts)
    made_with = job_fingerprint(job, text, prompts)
    with GenerationOutput(job.output, made_with, job.overwrite) as output:
        before = output.begin()
        if output.finished:
            if not before.errors:
                print(f"{job.output} is finished: nothing to do; overwrite=true would make it anew.")
                return True
            print(f"{job.output} has a line for each of {before.lines:,} prompts; all were tried before.")
            print(_uncompleted(before.errors), file=sys.stderr)
            return False
        executor = make_executor(job.executor, job.device)
        worker = GenerationWorker(job.model, job.device, job.batch_size)
        rest = itertools.islice(read_prompts(prompts, text, predictor.encoder), before.lines, None)
        results = executor.run(
            (lambda: worker.with_predictor(predictor)) if in_this_process else worker, rest, ordered=True
        )
        bar = Bar("prompts", total, before.lines)

        def stop() -> None:
            executor.stop()
            bar.note("stopping when what is begun is done; Ctrl-C again ends at once")

        log = JobLog(job.output.with_name(f"{job.output.name}.job.log"))
        began, tokens, lines, errors = time.monotonic(), 0, before.lines, before.errors
        with (
            output.writing() as add,
            Interruption(stop) as interruption,
            contextlib.closing(cast("Generator[GenerationOutcome | Lost, None, None]", results)),
            bar,
        ):
            for item in results:
                outcome = lost_outcome(item) if isinstance(item, Lost) else item
                result = outcome.result
                log.add(f"prompt {result.id}", outcome.details)
                add(result)
                lines += 1
                errors += result.error is not None
                tokens += result.tokens
                bar.step(f"{tokens / (time.monotonic() - began):,.0f} tokens/s", result.error is not None)
                if interruption.expired:
                    break
            if lines < total:
                raise KeyboardInterrupt
        output.journal.record({"id": RESULTS, "status": "done", "lines": lines, "errors": errors})
    seconds = time.monotonic() - began
    already = f" ({before.lines:,} were there already)" if before.lines else ""
    print(
        f"{total:,} {'prompt' if total == 1 else 'prompts'}{already}, {tokens:,} tokens in {seconds:.1f} s "
        f"({tokens / seconds:,.0f} tokens/s): {job.output}"
    )
    if errors:
        print(_uncompleted(errors), file=sys.stderr)
    return not errors


def _uncompleted(errors: int) -> str:
    return f"{errors:,} of them could not be completed; their lines say why. overwrite=true tries all again."


def job_fingerprint(job: GenerationJobOptions, text: GenerationOptions, prompts: Path) -> dict[str, Any]:
    """Return all that the results depend on: model, prompts, kind of device, and options of the text."""
    return {
        "model": digest_contents(job.model, "model"),
        "prompts": f"{SHA256}{digest(prompts)}",
        "device": device_type(job.device, job.executor),
        **fingerprint(text),
    }
