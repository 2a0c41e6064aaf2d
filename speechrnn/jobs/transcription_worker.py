"""What a worker does that transcribes: inputs in, what became of each out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from speechrnn.audio import AudioError
from speechrnn.audio.segmentation import SegmentationOptions
from speechrnn.decoding.fusion import DecodingOptions
from speechrnn.jobs.inputs import Input
from speechrnn.jobs.storage import fetched
from speechrnn.transcription.runtime import EngineName, Precision
from speechrnn.transcription.transcriber import Transcriber
from speechrnn.transcription.transcript import Failure, Transcript


@dataclass(frozen=True)
class Outcome:
    """What became of an input.

    Attributes:
        mark: of the file that was read, see `Input.mark`.
        engine: what ran the network, such as "torch bfloat16"; "" where nothing did.
    """

    input: Input
    result: Transcript | Failure
    mark: tuple[int, float] | None
    engine: str = ""


@dataclass(frozen=True)
class TranscribeWorker:
    """All that a transcriber is made from, to be sent to where it works; see `Transcriber.load`.

    Attributes:
        batch_seconds: see `Transcriber.transcribe`.
    """

    model: Path
    device: str = "auto"
    decoding: DecodingOptions = field(default_factory=DecodingOptions)
    language_model: Path | None = None
    engine: EngineName = "auto"
    precision: Precision = "auto"
    segmentation: SegmentationOptions = field(default_factory=SegmentationOptions)
    threads: int | None = None
    batch_seconds: float = 240.0

    def __call__(self) -> Callable[[Iterable[Input]], Iterator[Outcome]]:
        """Loads the transcriber; what it gives takes inputs and gives one outcome each, as they are ready.

        Raises:
            UserError: see `Transcriber.load`.
        """
        transcriber = Transcriber.load(
            self.model,
            self.device,
            self.decoding,
            self.language_model,
            self.engine,
            self.segmentation,
            self.threads,
            precision=self.precision,
        )
        return lambda inputs: outcomes(transcriber, inputs, self.batch_seconds)


def outcomes(transcriber: Transcriber, inputs: Iterable[Input], batch_seconds: float) -> Iterator[Outcome]:
    """One for each input, as it is ready."""
    for remote, run in groupby(inputs, lambda one: one.remote):
        if not remote:
            yield from _transcribed(transcriber, ((one, Path(one.place or one.source)) for one in run), batch_seconds)
            continue
        with tempfile.TemporaryDirectory(prefix="speechrnn-") as folder:
            for group in fetched(((one, one.source) for one in run), Path(folder)):
                there = [(one, path) for one, path in group if isinstance(path, Path)]
                for one, error in group:
                    if isinstance(error, AudioError):
                        yield Outcome(one, Failure(one.source, str(error)), None)
                yield from _transcribed(transcriber, there, batch_seconds)


def _transcribed(
    transcriber: Transcriber, places: Iterable[tuple[Input, Path]], batch_seconds: float
) -> Iterator[Outcome]:
    """Outcomes of inputs that lie in files."""
    at_work: dict[str, tuple[Input, tuple[int, float] | None]] = {}

    def paths() -> Iterator[str]:
        for one, path in places:
            at_work[str(path)] = one, one.mark()  # before the reading, so that no change escapes
            yield str(path)

    for result in transcriber.transcribe(paths(), batch_seconds):
        one, mark = at_work.pop(result.audio)
        yield Outcome(one, _of(one, result, mark), mark, transcriber.engine.name)


def _of(one: Input, result: Transcript | Failure, mark: tuple[int, float] | None) -> Transcript | Failure:
    """The result under the input's own name; a failure where the file is not the one any more that was read."""
    if mark is not None and one.mark() != mark:
        reason = f"{one.source} was changed while it was read; give the command again when it is whole."
        return Failure(one.source, reason)
    if isinstance(result, Failure):
        return Failure(one.source, result.reason.replace(result.audio, one.source))
    incomplete = result.incomplete and result.incomplete.replace(result.audio, one.source)
    return replace(result, audio=one.source, incomplete=incomplete)
