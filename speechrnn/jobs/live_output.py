"""The words of a stream on a terminal, as JSON lines, and in files that are whole at any moment."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Protocol, TextIO

from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write, unsynced
from speechrnn.transcription.events import Event
from speechrnn.transcription.transcript import Segment, Transcript, fit_words
from speechrnn.transcription.writers import SubtitleOptions
from speechrnn.transcription.writers.captions import SrtWriter, VttWriter

LIVE_FORMATS = ("srt", "vtt", "json", "txt")
COLUMNS = 80  # of a terminal that does not know its size
CLEAR_LINE, DIM, PLAIN = "\r\x1b[K", "\x1b[2m", "\x1b[0m"


class Display(Protocol):
    """Show events as they come."""

    def show(self, event: Event) -> None:
        """Show an event."""


class TerminalDisplay:
    """Rewrite the line of the partial words in place, and let the finals scroll; unstable words are dim."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def clear(self) -> None:
        """Remove the line of the partial words; the next event writes it anew."""
        self._stream.write(CLEAR_LINE)
        self._stream.flush()

    def show(self, event: Event) -> None:
        """See `Display`."""
        if event.kind == "final":
            line = f"{event.text}\n" if event.text else ""
            self._stream.write(CLEAR_LINE + line)
        else:
            words = [word.word for word in event.words]
            stable, rest = " ".join(words[: event.stable_words]), " ".join(words[event.stable_words :])
            width = self._columns() - 1
            room = width - _columns(rest) - 1
            if room < 0:
                stable, rest = "", _last_columns(rest, width)
            else:
                stable = _last_columns(stable, room)
            space = " " if stable and rest else ""
            self._stream.write(f"{CLEAR_LINE}{stable}{space}{DIM}{rest}{PLAIN}" if rest else CLEAR_LINE + stable)
        self._stream.flush()

    def _columns(self) -> int:
        """Return how wide the terminal is now."""
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or COLUMNS
        except (OSError, ValueError):  # no terminal
            return COLUMNS


class JsonLinesDisplay:
    """Write each event as a JSON line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def show(self, event: Event) -> None:
        """See `Display`."""
        self._stream.write(json.dumps(event.to_json(), ensure_ascii=False) + "\n")
        self._stream.flush()


class TextDisplay:
    """Write the words of each final on a line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def show(self, event: Event) -> None:
        """See `Display`."""
        if event.kind == "final" and event.text:
            self._stream.write(event.text + "\n")
            self._stream.flush()


class _MessageHandler(logging.Handler):
    """Write messages on standard error, where a terminal shows its partial line."""

    def __init__(self, display: TerminalDisplay) -> None:
        super().__init__(logging.WARNING)
        self._display = display

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        self._display.clear()
        print(record.getMessage(), file=sys.stderr, flush=True)


@contextlib.contextmanager
def messages_above(display: Display) -> Iterator[None]:
    """Print warnings above the partial line of a terminal; other displays are not changed."""
    if not isinstance(display, TerminalDisplay):
        yield
        return
    logger, handler = logging.getLogger("speechrnn"), _MessageHandler(display)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _columns(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(map(_letter_columns, text))


def _letter_columns(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _last_columns(text: str, width: int) -> str:
    """Return the end of a text that fits into so many columns, with an ellipsis where it was cut."""
    if _columns(text) <= width:
        return text
    place, left = len(text), width - 1
    while place and (left := left - _letter_columns(text[place - 1])) >= 0:
        place -= 1
    while place < len(text) and _letter_columns(text[place]) == 0:  # accents whose letter is cut off
        place += 1
    return "…" + text[place:] if width > 0 else ""


class LiveTranscript:
    """A transcript file that grows with each final, and is whole at any moment.

    Each final makes a new file of the old one's bytes and its own, which then takes the name: the time for it does not
    grow with the words that are formatted, and neither does memory.
    """

    def __init__(self, path: Path, audio: str, model: str, decoding: str, subtitles: SubtitleOptions) -> None:
        """
        Args:
            path: of the file; its suffix is the format: one of `LIVE_FORMATS`.
            audio, model, decoding: see `Transcript`.
            subtitles: layout of srt and vtt.

        Raises:
            UserError: another format, or the file cannot be written.
        """
        self._path = path
        self._format = path.suffix.removeprefix(".").lower()
        if self._format not in LIVE_FORMATS:
            raise UserError(f"output={path}: a live transcript is .{', .'.join(LIVE_FORMATS)}; choose one of these.")
        self._head = Transcript(
            audio, 0.0, "", confidence=1.0, segments=(), alternatives=(), model=model, decoding=decoding
        )
        self._layout = subtitles
        self._captions = 0
        self._texts: list[str] = []
        self._confidence, self._words = 0.0, 0
        self._warnings: list[dict[str, str]] = []
        self._end = 0  # bytes of the file that stay
        self._write(self._beginning(), 0.0, new=True)

    def add(self, event: Event) -> None:
        """Add a final; one without words adds its warnings only, which JSON alone has."""
        self._warnings += [asdict(warning) for warning in event.warnings]
        words = fit_words(event.words, max(event.time, event.words[-1].end)) if event.words else ()
        if not words:
            if event.warnings:
                self._write("", event.time)
            return
        confidence = round(sum(word.confidence for word in words) / len(words), 4)
        segment = Segment(words[0].start, words[-1].end, event.text, confidence=confidence, words=words)
        self._write(self._chunk(segment, event.time), event.time)

    def _beginning(self) -> str:
        """Return what stands before the first segment."""
        if self._format == "json":
            fields = {"audio": self._head.audio, "model": self._head.model, "decoding": self._head.decoding}
            return json.dumps(fields, ensure_ascii=False)[:-1] + ', "segments": ['
        return "WEBVTT\n" if self._format == "vtt" else ""

    def _chunk(self, segment: Segment, time: float) -> str:
        """Return what a segment adds, and count it."""
        only = Transcript(
            "",
            time,
            segment.text,
            confidence=segment.confidence,
            segments=(segment,),
            alternatives=(),
            model="",
            decoding="",
        )
        if self._format == "srt":
            text = SrtWriter(self._layout, first=self._captions + 1).format(only, "")
            self._captions += text.count(" --> ")
            return text
        if self._format == "vtt":
            return VttWriter(self._layout).format(only, "").removeprefix("WEBVTT\n")
        if self._format == "txt":
            return segment.text + "\n"
        comma = "," if self._words else ""
        self._texts.append(segment.text)
        self._confidence += segment.confidence * len(segment.words)
        self._words += len(segment.words)
        return comma + "\n" + json.dumps(only.to_json()["segments"][0], ensure_ascii=False)

    def _tail(self, time: float) -> str:
        """Return what stands behind the last segment."""
        if self._format != "json":
            return ""
        confidence = round(self._confidence / self._words, 4) if self._words else 1.0
        fields = {
            "duration": time,
            "text": " ".join(self._texts),
            "confidence": confidence,
            "alternatives": [],
            "incomplete": None,
            "warnings": self._warnings,
        }
        return "\n], " + json.dumps(fields, ensure_ascii=False)[1:] + "\n"

    def _write(self, chunk: str, time: float, new: bool = False) -> None:
        body = chunk.encode()
        with unsynced(), atomic_write(self._path, "wb") as file:
            if not new:
                with self._path.open("rb") as old:
                    self._copy(old, file)
            file.write(body + self._tail(time).encode())
        self._end += len(body)

    def _copy(self, old: object, file: object) -> None:
        """Copy the bytes that stay, a megabyte at a time."""
        left = self._end
        while left and (data := old.read(min(left, 2**20))):  # type: ignore[attr-defined]
            file.write(data)  # type: ignore[attr-defined]
            left -= len(data)


def open_outputs(
    paths: Sequence[Path], audio: str, model: str, decoding: str, subtitles: SubtitleOptions
) -> list[LiveTranscript]:
    """Begin the transcript files; see `LiveTranscript`."""
    return [LiveTranscript(path, audio, model, decoding=decoding, subtitles=subtitles) for path in paths]
