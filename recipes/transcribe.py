"""Audio files in, transcripts out.

Files, folders and globs are transcribed by an acoustic model, in batches of like length, every word with its time and
confidence. A file that cannot be read is reported at the end, and the rest goes on.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from speechrnn.cli import FAILED, OK, recipe
from speechrnn.decoding.fusion import DecodingOptions
from speechrnn.errors import UserError
from speechrnn.options import build
from speechrnn.transcribe import Failure, Transcriber, Transcript
from speechrnn.transcripts import HYPOTHESES, identify, row, write_rows
from speechrnn.writers import Writer, find_writers


@dataclass(frozen=True)
class TranscribeOptions:
    """The keys of the recipe; conf/transcribe.yaml explains them."""

    model: Path
    inputs: str | tuple[str, ...]
    output: Path
    formats: tuple[str, ...]
    decoding: DecodingOptions
    language_model: Path | None
    device: str
    batch_seconds: float = field(metadata={"min": 0.1})


@recipe("transcribe")
def main(config: DictConfig) -> int:
    """Each recording becomes one file a format, and all of them become `hypotheses.jsonl`."""
    options = build(TranscribeOptions, config, "")
    transcriber = Transcriber.load(options.model, options.device, options.decoding, options.language_model)
    writers = find_writers(options.formats)
    recordings = identify(options.inputs)
    spare_references(recordings, options.output, writers)
    ids = {str(path): id for path, id in recordings.items()}

    began = time.monotonic()
    rows: dict[str, dict[str, Any]] = {}
    failures: list[Failure] = []
    results = transcriber.transcribe([Path(path) for path in ids], options.batch_seconds)
    for result in watched(results, len(ids)):
        if isinstance(result, Failure):
            failures.append(result)
            continue
        id = ids[result.audio]
        for writer in writers:
            writer.write(result, options.output / f"{id}{writer.suffix}")
        rows[result.audio] = row(id, result)
    write_rows(options.output / HYPOTHESES, [rows[path] for path in ids if path in rows])

    seconds = sum(one["duration"] for one in rows.values())
    elapsed = time.monotonic() - began
    print(
        f"{len(rows)} {'file' if len(rows) == 1 else 'files'}, {in_words(seconds)} of audio in {in_words(elapsed)} "
        f"({seconds / elapsed:.0f} times real time): {options.output}"
    )
    if not failures:
        return OK
    print(f"{len(failures)} of {len(ids)} could not be transcribed:", file=sys.stderr)
    for failure in sorted(failures, key=lambda failure: failure.audio):
        print(f"  {failure.reason}", file=sys.stderr)
    return FAILED


def spare_references(recordings: dict[Path, str], output: Path, writers: Sequence[Writer]) -> None:
    """Refuses to overwrite what lies beside a recording and is not from an earlier run: it may be its reference."""
    if (output / HYPOTHESES).exists():
        return
    for path, id in recordings.items():
        for writer in writers:
            target = output / f"{id}{writer.suffix}"
            if target.exists() and target.parent.samefile(path.parent):
                raise UserError(f"{target} lies beside its recording and would be overwritten; choose another output.")


def watched(results: Iterable[Transcript | Failure], total: int) -> Iterator[Transcript | Failure]:
    """The same results, with a bar (files, audio, speed, time left) where somebody is there to see it."""
    if not sys.stderr.isatty():
        yield from results
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    began, seconds = time.monotonic(), 0.0
    with Progress(
        MofNCompleteColumn(),
        TextColumn("files"),
        BarColumn(),
        TextColumn("{task.fields[audio]} of audio, {task.fields[speed]:.0f} times real time"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as bar:
        task = bar.add_task("", total=total, audio=in_words(0.0), speed=0.0)
        for result in results:
            seconds += result.duration if isinstance(result, Transcript) else 0.0
            bar.update(task, advance=1, audio=in_words(seconds), speed=seconds / (time.monotonic() - began))
            yield result


def in_words(seconds: float) -> str:
    """3.2 s, 5 min 57 s, 2 h 03 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


if __name__ == "__main__":
    main()
