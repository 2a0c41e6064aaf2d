"""Resampling and features of a stream equal those of the whole recording."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.audio.streaming import StreamingResampler


@settings(max_examples=20)
@given(
    rate=st.sampled_from([8000, 11025, 22050, 44100, 48000]),
    samples=st.integers(0, 30000),
    packets=st.lists(st.integers(1, 5000), min_size=1, max_size=3),
)
def test_packets_are_resampled_as_the_whole(rate: int, samples: int, packets: list[int]) -> None:
    sound = np.random.default_rng(samples).standard_normal(samples).astype(np.float32) * 0.1
    resampler, parts, place, turn = StreamingResampler(rate, 16000), [], 0, 0
    if max(packets) < 50:
        packets = [*packets, 500]
    while place < samples:
        size = packets[turn % len(packets)]
        parts.append(resampler.accept(sound[place : place + size]))
        place, turn = place + size, turn + 1
    found = np.concatenate([*parts, resampler.finish()])
    expected = soxr.resample(sound, rate, 16000)
    assert abs(len(found) - len(expected)) <= 1
    common = min(len(found), len(expected))
    assert found[:common] == pytest.approx(expected[:common], abs=1e-5)


def test_the_models_own_rate_passes_through() -> None:
    resampler = StreamingResampler(16000, 16000)
    sound = np.ones(7, np.float32)
    assert resampler.accept(sound) is sound
    assert len(resampler.finish()) == 0
