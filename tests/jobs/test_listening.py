"""Live sources are recognised until they end."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
from helpers.acoustic_models import RATE, streaming_model

from speechrnn.audio.live import RawPipe
from speechrnn.jobs.listening import Listening
from speechrnn.jobs.live_output import JsonLinesDisplay, LiveTranscript
from speechrnn.transcription.streamer import StreamingRecognizer
from speechrnn.transcription.writers import SubtitleOptions


def pcm(seconds: float = 3.0) -> bytes:
    sound = np.random.default_rng(0).standard_normal(round(seconds * RATE)) * 0.1
    return (np.clip(sound, -1, 1) * 32000).astype("<i2").tobytes()


def test_a_pipe_is_recognised_and_files_are_whole(tmp_path: Path) -> None:
    model, tokenizer = streaming_model()
    recognizer = StreamingRecognizer(model, tokenizer, "tiny")
    shown = io.StringIO()
    paths = [tmp_path / f"talk.{suffix}" for suffix in ("srt", "vtt", "json", "txt")]
    outputs = [LiveTranscript(path, "-", "tiny", "greedy", SubtitleOptions()) for path in paths]
    Listening(RawPipe(io.BytesIO(pcm()).read), recognizer.stream, JsonLinesDisplay(shown), outputs).run()
    events = [json.loads(line) for line in shown.getvalue().splitlines()]
    text = " ".join(event["text"] for event in events if event["kind"] == "final")
    assert text and json.loads(paths[2].read_text())["text"] == text
    assert paths[3].read_text().split() == text.split()
    assert paths[0].read_text().startswith("1\n") and paths[1].read_text().startswith("WEBVTT\n")
