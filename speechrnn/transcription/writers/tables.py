"""One line a segment or a word, in columns: tsv as Whisper writes it, ctm as sclite and Kaldi read it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from speechrnn.core.files import atomic_write
from speechrnn.transcription.writers.fields import one_line, whole_milliseconds

if TYPE_CHECKING:
    from speechrnn.transcription.transcript import Transcript


class TsvWriter:
    """Whisper's columns start, end (whole milliseconds) and text, one line a segment, under a line that names them.

    As in Whisper's own, nothing is quoted: the text holds neither tabs nor line breaks, and a `"` is a `"`.
    """

    suffix = ".tsv"

    def write(self, transcript: Transcript, path: Path) -> None:
        """See Writer."""
        with atomic_write(path) as file:
            file.write("start\tend\ttext\n")
            for start, end, segment in whole_milliseconds(transcript.segments):
                file.write(f"{start}\t{end}\t{one_line(segment.text)}\n")


class CtmWriter:
    """NIST's time-marked conversation, a line a word: recording, channel, start and length (seconds), word, confidence.

    Columns are parted by blanks: one within a word or in the recording's name becomes "_". The recording is named as
    the file that is written, without its suffix, which is how reference transcripts (stm) name it. An empty file where
    nothing was said.
    """

    suffix = ".ctm"

    def write(self, transcript: Transcript, path: Path) -> None:
        """See Writer."""
        recording = _column(path.stem)
        with atomic_write(path) as file:
            for start, end, word in whole_milliseconds(transcript.words):
                if text := _column(word.word):
                    times = f"{start / 1000:.3f} {(end - start) / 1000:.3f}"
                    file.write(f"{recording} 1 {times} {text} {word.confidence:.4f}\n")


def _column(text: str) -> str:
    return "_".join(one_line(text).split())
