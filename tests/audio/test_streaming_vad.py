"""Probabilities of speech on a stream are those of the whole recording."""

from __future__ import annotations

import numpy as np
import pytest

from speechrnn.audio.streaming_vad import StreamingSpeechDetector, build_stream_detector
from speechrnn.audio.vad import SileroDetector

pytest.importorskip("silero_vad")
DETECTOR = SileroDetector()


def speech_like(samples: int, rate: int) -> np.ndarray:
    time = np.arange(samples) / rate
    voice = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 20))
    return (voice * np.sin(2 * np.pi * 2 * time) ** 2 * 0.1).astype(np.float32)


def stream(samples: np.ndarray, rate: int, packets: list[int]) -> np.ndarray:
    detector, parts, place, turn = StreamingSpeechDetector(DETECTOR, rate), [], 0, 0
    while place < len(samples):
        size = packets[turn % len(packets)]
        parts.append(detector.accept(samples[place : place + size]))
        place, turn = place + size, turn + 1
    return np.concatenate([*parts, detector.finish()])


@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_stream_has_the_probabilities_of_the_whole(rate: int) -> None:
    samples = speech_like(rate * 4 + 123, rate)
    (whole,) = DETECTOR([samples], rate)
    found = stream(samples, rate, [round(rate * 0.1)])
    assert len(whole) <= len(found) < len(whole) + 4
    assert np.ptp(whole) > 0.05
    np.testing.assert_allclose(found[: len(whole) - 1], whole[:-1], atol=2e-3)


@pytest.mark.parametrize("packets", [[16], [1, 700, 5000], [64000]])
def test_packets_do_not_change_a_bit(packets: list[int]) -> None:
    samples = speech_like(16000 * 3 + 77, 16000)
    np.testing.assert_array_equal(stream(samples, 16000, packets), stream(samples, 16000, [1600]))


def test_no_detector_is_a_choice() -> None:
    assert build_stream_detector("none") is None
    assert isinstance(build_stream_detector("auto"), SileroDetector)
