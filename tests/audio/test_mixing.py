"""Channels of a stream are mixed, and a loud one is taken where they cancel each other out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.audio.mixing import StreamingMixer

RATE = 1000


def wave(samples: int) -> np.ndarray:
    return np.sin(np.arange(samples, dtype=np.float32) / 3)


def mix(channels: np.ndarray, packets: list[int]) -> tuple[np.ndarray, int | None]:
    mixer, parts, place, turn = StreamingMixer(RATE), [], 0, 0
    while place < channels.shape[1]:
        size = packets[turn % len(packets)]
        parts.append(mixer.accept(channels[:, place : place + size]))
        place, turn = place + size, turn + 1
    return np.concatenate(parts), mixer.loud_channel


@given(packets=st.lists(st.integers(1, 4000), min_size=1, max_size=4))
def test_channels_that_cancel_give_way_to_a_loud_one_at_any_packet_size(packets: list[int]) -> None:
    if max(packets) < 20:
        packets = [*packets, 100]
    sound = wave(3500)
    samples, loud = mix(np.stack([0.9 * sound, -sound]) * 0.5, packets)
    assert loud is None or loud == 1  # 5 % of a wave stay in the mix: -26 dB
    samples, loud = mix(np.stack([sound, -sound]), packets)
    assert loud == 0
    assert not samples[:RATE].any()
    np.testing.assert_array_equal(samples[RATE:], sound[RATE:])


@pytest.mark.parametrize("second", [1.0, 0.0, 0.5])
def test_other_channels_are_averaged(second: float) -> None:
    sound = wave(3500)
    samples, loud = mix(np.stack([sound, second * sound]), [700])
    assert loud is None
    np.testing.assert_allclose(samples, sound * (1 + second) / 2, atol=1e-6)


def test_silence_says_nothing_about_channels() -> None:
    assert mix(np.zeros((2, 5000), np.float32), [800])[1] is None
