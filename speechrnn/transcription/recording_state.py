"""The state of a recording on its way through the pipeline: which windows have come, which segments are decoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import Tensor

from speechrnn.transcription.emissions import SegmentAssembler, SpeechSegment, trim_context
from speechrnn.transcription.reader import EndOfRecording, NumberedWindow
from speechrnn.transcription.transcript import DecodedSegment


@dataclass
class RecordingState:
    """Track one recording on its way through the pipeline.

    Attributes:
        audio: its name.
        assembler: joins its windows.
        waiting: windows that came before an earlier one, by number.
        windows: how many have gone into `assembler`.
        segments: how many have come out of it.
        decoded: results by segment number.
        announced: how many of them `on_segment` was called with.
        end: known when all of it has been read.
    """

    audio: str
    assembler: SegmentAssembler
    waiting: dict[int, tuple[NumberedWindow, Tensor]] = field(default_factory=dict)
    windows: int = 0
    segments: int = 0
    decoded: dict[int, DecodedSegment] = field(default_factory=dict)
    announced: int = 0
    end: EndOfRecording | None = None

    def add(
        self, numbered: NumberedWindow, log_probs: Tensor, sampling_rate: int, step: int
    ) -> Iterator[SpeechSegment]:
        """Add the emissions (frames, symbols) of a window; yield the segments that are now complete."""
        self.waiting[numbered.number] = numbered, log_probs
        while self.windows in self.waiting:
            following, frames = self.waiting.pop(self.windows)
            self.windows += 1
            window = following.window
            frames = trim_context(frames, window.start, window.valid, step=step, last=window.last)
            yield from self.assembler.add(window.valid[0] / sampling_rate, frames, window.first, window.last)

    @property
    def complete(self) -> bool:
        """Return whether all of the recording is decoded."""
        return self.end is not None and self.windows == self.end.windows and len(self.decoded) == self.segments
