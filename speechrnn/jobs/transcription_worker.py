"""The worker of a transcription job: takes inputs and gives their results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from speechrnn.core.temporary import temporary_folder
from speechrnn.jobs.inputs import FileState, Input
from speechrnn.jobs.storage import EVERYWHERE, RemoteOptions, fetch_groups
from speechrnn.transcription.options import TranscriptionOptions
from speechrnn.transcription.reader import Channel
from speechrnn.transcription.transcriber import Transcriber
from speechrnn.transcription.transcript import Failure, Segment, Transcript


@dataclass(frozen=True)
class Outcome:
    """Hold the result of an input.

    Attributes:
        input: what was transcribed.
        result: its transcript, or why there is none.
        file_state: of the file that was read, see `Input.file_state`.
        engine: name of what ran the network, such as "torch bfloat16"; "" where nothing did.
    """

    input: Input
    result: Transcript | Failure
    file_state: FileState | None
    engine: str = ""


@dataclass(frozen=True)
class TranscriptionWorker:
    """Hold all that a transcriber is made from, to be sent to another process.

    Attributes:
        model: directory of the acoustic model.
        options: all settings.
        remote: which addresses may be read.
        ordered: yield outcomes in the order of the inputs.
    """

    model: Path
    options: TranscriptionOptions
    remote: RemoteOptions = EVERYWHERE
    ordered: bool = False

    def __call__(self) -> Callable[[Iterable[Input]], Iterator[Outcome]]:
        """Load the transcriber.

        Returns:
            A function that yields one outcome for each input, as it is ready.

        Raises:
            UserError: see `Transcriber.load`.
        """
        transcriber = Transcriber.from_options(self.model, self.options)
        return lambda inputs: outcomes(transcriber, inputs, self.remote, ordered=self.ordered)


def outcomes(
    transcriber: Transcriber,
    inputs: Iterable[Input],
    remote_options: RemoteOptions = EVERYWHERE,
    *,
    ordered: bool = False,
    on_segment: Callable[[Input, Segment], None] | None = None,
) -> Iterator[Outcome]:
    """Yield one outcome for each input; inputs at addresses are fetched in groups.

    Args:
        transcriber: does the work.
        inputs: what to transcribe.
        remote_options: which addresses may be read.
        ordered: yield outcomes in the order of the inputs; else as they are ready.
        on_segment: called with an input and each of its segments, as soon as it is decoded.
    """
    for (remote, refused), run in groupby(inputs, lambda item: (item.remote, item.error is not None)):
        if refused:
            yield from (Outcome(item, Failure(item.source, item.error or ""), None) for item in run)
            continue
        if not remote:
            places = ((item, Path(item.place or item.source)) for item in run)
            yield from _transcribe(transcriber, places, ordered, on_segment=on_segment)
            continue
        with temporary_folder() as folder:
            for group in fetch_groups(((item, item.source) for item in run), folder, remote=remote_options):
                fetched = [(item, path) for item, path in group if isinstance(path, Path)]
                results = _transcribe(transcriber, fetched, ordered, on_segment=on_segment)
                for item, error in group:
                    if isinstance(error, Exception):
                        yield Outcome(item, Failure.of(item.source, error), None)
                    elif ordered:
                        yield next(results)
                yield from results


def _transcribe(
    transcriber: Transcriber,
    places: Iterable[tuple[Input, Path]],
    ordered: bool,
    on_segment: Callable[[Input, Segment], None] | None,
) -> Iterator[Outcome]:
    """Yield the outcomes of inputs that lie in files; see `outcomes`."""
    in_progress: dict[str, tuple[Input, FileState | None]] = {}
    items: list[Input] = []  # by the number of the source, where segments are asked for

    def paths() -> Iterator[str | Channel]:
        for item, path in places:
            source = str(path) if item.channel is None else Channel(path, item.channel)
            in_progress[str(source)] = item, item.file_state()  # before the reading, to notice changes during it
            if on_segment is not None:
                items.append(item)
            yield source

    announce = None if on_segment is None else lambda number, segment: on_segment(items[number], segment)
    for result in transcriber.transcribe(paths(), ordered=ordered, on_segment=announce):
        item, file_state = in_progress.pop(result.audio)
        yield Outcome(item, _rename(item, result, file_state), file_state, engine=transcriber.engine.name)


def _rename(item: Input, result: Transcript | Failure, file_state: FileState | None) -> Transcript | Failure:
    """Put the input's own name into a result; make it a failure where the file has changed while it was read."""
    if file_state is not None and item.file_state() != file_state:
        reason = f"{item.source} was changed while it was read; give the command again when it is whole."
        return Failure(item.source, reason)
    if isinstance(result, Failure):
        return replace(result, audio=item.source, reason=result.reason.replace(result.audio, item.source))
    incomplete = result.incomplete and result.incomplete.replace(result.audio, item.source)
    return replace(result, audio=item.source, incomplete=incomplete, channel=item.channel)
