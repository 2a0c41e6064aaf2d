"""Tests of the events of a live recognition."""

from __future__ import annotations

import json

from speechrnn.decoding.hypothesis import Word
from speechrnn.transcription.events import Event


def test_an_event_as_json() -> None:
    event = Event(
        "final",
        2,
        "TWO RED",
        words=(Word("TWO", 0.1, 0.3, confidence=0.9), Word("RED", 0.4, 0.6, confidence=0.8)),
        stable_words=2,
        time=1.5,
    )
    row = json.loads(json.dumps(event.to_json()))
    assert row["kind"] == "final" and row["segment"] == 2 and row["stable_words"] == 2
    assert row["words"][1] == {"word": "RED", "start": 0.4, "end": 0.6, "confidence": 0.8}
    assert " ".join(word["word"] for word in row["words"]) == row["text"]
