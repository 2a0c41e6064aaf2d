"""Transcripts with awkward words, and their files in each format."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from speechrnn.decoding.hypothesis import Word
from speechrnn.transcription.transcript import Segment, Transcript
from speechrnn.transcription.writers import SubtitleOptions, find_writers, write_transcript

WORDS = (Word("dž", 0.1, 0.42, confidence=0.9), Word("ja", 0.5, 0.7, confidence=0.8))

LATE = (Word("hello", 3671.0, 3671.25, confidence=0.25),)

SPOKEN = Transcript(
    "in/a talk.wav",
    3672.5,
    "dž ja hello",
    confidence=0.65,
    segments=(
        Segment(0.1, 0.7, "dž ja", confidence=0.85, words=WORDS),
        Segment(3671.0, 3671.25, "hello", confidence=0.25, words=LATE),
    ),
    alternatives=(),
    model="model",
    decoding="greedy",
)

SILENT = Transcript("b.wav", 1.5, "", confidence=1.0, segments=(), alternatives=(), model="model", decoding="greedy")

AWKWARD = [
    "-->",
    "<b>",
    "&amp;",
    'say "so"',
    '"',
    '""',
    "שלום",
    "مرحبا",
    "e\u0301",
    "👩‍👩‍👧",
    "\u200fרם",
    "1",
    "0:0",
    "x" * 99,
    "new\nline",
    "ta\tb",
    "nul\0x",
    "\u2028sep",
    "\x85",
    "half\ud800",
    "{y:i}",
    "WEBVTT",
    "NOTE",
    "STYLE",
    "a\r\n\r\nb",
]


def one_segment(texts: list[str]) -> Transcript:
    """Words of half a second, a tenth apart."""
    words = tuple(
        Word(text, 0.1 + number * 0.6, 0.6 + number * 0.6, confidence=0.5) for number, text in enumerate(texts)
    )
    text = " ".join(texts)
    segments = (Segment(words[0].start, words[-1].end, text, confidence=0.5, words=words),) if words else ()
    return Transcript(
        "a.wav",
        0.6 * len(words) + 1.0,
        text,
        confidence=0.5,
        segments=segments,
        alternatives=(),
        model="model",
        decoding="greedy",
    )


def written(name: str, transcript: Transcript, folder: Path, options: SubtitleOptions | None = None) -> Path:
    """The file that a format's writer makes of it."""
    (writer,) = find_writers([name], options)
    path = folder / f"a talk{writer.suffix}"
    write_transcript(writer, transcript, path)
    return path


def expected(text: str) -> str:
    """An awkward text as a format of one line an entry should give it back."""
    return " ".join(text.replace("\0", "").replace("\ud800", "\ufffd").split())


words_of_any_kind = st.lists(st.one_of(st.sampled_from(AWKWARD), st.from_regex(r"[a-z']{1,14}", fullmatch=True)))

on_files = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
