"""An exception that a library raises over one recording is that recording's failure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from speechrnn.audio.segmentation import SegmentationOptions
from speechrnn.transcription import reader
from speechrnn.transcription.reader import AudioBudget, NumberedSources, Reader, UnreadableRecording


@pytest.mark.parametrize("error", [ValueError("odd"), OSError("odd"), AssertionError("odd"), MemoryError("odd")])
def test_one_recording_fails_and_the_next_is_read(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def blocks(source: str, *_: Any, **__: Any) -> Iterator[np.ndarray]:
        if source == "bad.wav":
            raise error
        yield np.ones(1600, np.float32)

    monkeypatch.setattr(reader, "audio_blocks", blocks)
    events: list[Any] = []
    Reader(
        sources=NumberedSources(iter(["bad.wav", "good.wav"])),
        sampling_rate=16000,
        step=160,
        options=SegmentationOptions(),
        detector=None,
        budget=AudioBudget(100.0),
        put=events.append,
    ).run()
    failures = [event for event in events if isinstance(event, UnreadableRecording)]
    assert len(failures) == 1 and len(events) > 1
    assert failures[0].failure.reason == f"bad.wav: {type(error).__name__}: odd."
