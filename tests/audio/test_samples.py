"""Samples as arrays: silence, types, and channels that cancel each other out."""

from __future__ import annotations

import numpy as np
import pytest

from speechrnn.audio.samples import as_floats, is_silent, loud_channel


def test_dither_and_a_constant_are_silence_and_a_quiet_room_is_not() -> None:
    generator = np.random.default_rng(0)
    dither = generator.choice([-1, 0, 1], 16000).astype(np.float32) / 32768
    assert is_silent(np.zeros(16000, np.float32)) and is_silent(np.zeros(0, np.float32))
    assert is_silent(dither) and is_silent(dither + 0.25)
    assert not is_silent(dither * 4) and not is_silent(generator.standard_normal(100).astype(np.float32))


@pytest.mark.parametrize(
    ("energies", "mix", "channel"),
    [([1.0, 1.1], 0.002, 1), ([1.0, 1.1], 0.5, None), ([0.0, 0.0], 0.0, None), ([np.inf, 1.0], 0.0, None)],
)
def test_channels_that_cancel_each_other_out_are_read_one_by_one(
    energies: list[float], mix: float, channel: int | None
) -> None:
    assert loud_channel(np.array(energies), mix) == channel


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.int64])
def test_integers_are_scaled_to_their_full_range(kind: type[np.signedinteger]) -> None:
    limits = np.iinfo(kind)
    floats = as_floats(np.array([[limits.min, 0], [limits.max, 0]], kind))
    assert floats.dtype == np.float32 and floats.shape == (2, 2)
    assert floats[:, 0].tolist() == pytest.approx([-1.0, 1.0], abs=1e-4) and not floats[:, 1].any()
    assert as_floats(np.array([0.5], np.float64)).dtype == np.float32
