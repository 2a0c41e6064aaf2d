"""Write one line per segment or word, in columns: tsv as Whisper writes it, ctm as sclite and Kaldi read it."""

from __future__ import annotations

from speechrnn.transcription.writers.fields import TranscriptFields, one_line, whole_milliseconds


class TsvWriter:
    """Write Whisper's columns start, end (whole milliseconds) and text, one line per segment, below their names.

    As in Whisper's own, nothing is quoted: the text holds neither tabs nor line breaks, and a `"` is a `"`.
    """

    suffix = ".tsv"

    def format(self, transcript: TranscriptFields, recording: str) -> str:
        """See Writer."""
        lines = ["start\tend\ttext\n"]
        for start, end, segment in whole_milliseconds(transcript.segments):
            lines.append(f"{start}\t{end}\t{one_line(segment.text)}\n")
        return "".join(lines)


class CtmWriter:
    """Write NIST's time-marked conversation: recording, channel, start and length (seconds), word, confidence.

    One line per word. Columns are separated by spaces: a space within a word or in the recording's name becomes "_".
    The recording is named as the file that is written, without its suffix, which is how reference transcripts (stm)
    name it. The file is empty where there are no words.
    """

    suffix = ".ctm"

    def format(self, transcript: TranscriptFields, recording: str) -> str:
        """See Writer."""
        name = _column(recording)
        lines = []
        for start, end, word in whole_milliseconds(transcript.words):
            if text := _column(word.word):
                times = f"{start / 1000:.3f} {(end - start) / 1000:.3f}"
                lines.append(f"{name} 1 {times} {text} {word.confidence:.4f}\n")
        return "".join(lines)


def _column(text: str) -> str:
    return "_".join(one_line(text).split())
