"""The state of a recording whose windows come in any order."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.audio.segmentation import Window
from speechrnn.decoding.hypothesis import DecodingResult, Hypothesis
from speechrnn.transcription.emissions import SegmentAssembler
from speechrnn.transcription.reader import EndOfRecording, NumberedWindow
from speechrnn.transcription.recording_state import RecordingState
from speechrnn.transcription.transcript import DecodedSegment

SILENCE = Hypothesis((), score=0.0, acoustic=0.0, parts={})
STEP, RATE = 10, 100  # samples a frame, Hz


@given(st.permutations(range(5)))
def test_windows_in_any_order_give_the_same_segments(order: list[int]) -> None:
    """Five windows of ten frames, the first three of them one segment."""
    state = RecordingState("talk.wav", SegmentAssembler(STEP / RATE))
    state.end = EndOfRecording(0, "talk.wav", windows=5, seconds=5.0, incomplete=None)
    segments = []
    for number in order:
        start = 100 * number
        window = Window(
            np.zeros(100, np.float32), start, (start, start + 100), first=number in (0, 3), last=number in (2, 4)
        )
        frames = torch.full((10, 3), float(number))
        for segment in state.add(NumberedWindow(0, "talk.wav", number, window=window), frames, RATE, STEP):
            assert not state.complete
            state.segments += 1
            segments.append(segment)
    assert [segment.start for segment in segments] == [0.0, 3.0]
    assert [segment.log_probs[:, 0].tolist() for segment in segments] == [
        [0.0] * 10 + [1.0] * 10 + [2.0] * 10,
        [3.0] * 10 + [4.0] * 10,
    ]
    for number, segment in enumerate(segments):
        assert not state.complete
        state.decoded[number] = DecodedSegment(
            segment.start, DecodingResult((), ("",), (SILENCE,), frames=len(segment.log_probs))
        )
    assert state.complete
