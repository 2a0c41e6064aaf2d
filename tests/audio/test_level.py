"""The followed level: by construction, in parts, and of quiet and loud copies of a sound."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.audio.features import FeatureOptions, FrontEnd
from speechrnn.audio.level import DECIBEL, FALL, HEADROOM, RANGE, LevelFollower
from speechrnn.core.errors import UserError


def decibels(levels: torch.Tensor) -> list[float]:
    return [round(level, 3) for level in (levels / DECIBEL).flatten().tolist()]


def follow(levels: list[float], usual: float = 0.0) -> list[float]:
    """Followed levels in dB of frames of a second with these levels in dB."""
    follower = LevelFollower(seconds_per_frame=1.0)
    follower.fit(torch.tensor(usual * DECIBEL))
    return decibels(follower(torch.tensor(levels)[None, :, None] * DECIBEL))


def test_the_level_rises_at_once_and_falls_slowly() -> None:
    assert follow([-20.0, -10.0, -100.0, -100.0, -5.0]) == [-20.0, -10.0, -10.0 - FALL, -10.0 - 2 * FALL, -5.0]


def test_the_level_stays_near_that_of_the_training_part() -> None:
    assert follow([-100.0, -100.0]) == [-RANGE, -RANGE]
    assert follow([-100.0, 3.0], usual=50.0) == [50.0 - RANGE, 50.0 - RANGE]
    assert follow([55.0, *[-100.0] * 40], usual=50.0)[-1] == 50.0 - RANGE


def test_a_click_does_not_make_the_speech_after_it_silent() -> None:
    assert follow([80.0, -5.0, 0.0]) == [HEADROOM, HEADROOM - FALL, HEADROOM - 2 * FALL]


def test_the_level_of_a_frame_is_the_mean_over_its_bands() -> None:
    follower = LevelFollower(seconds_per_frame=1.0)
    assert follower(torch.tensor([[[1.0, 5.0, 0.0]]])).item() == pytest.approx(2.0)


@settings(max_examples=30)
@given(frames=st.integers(1, 200), cut=st.integers(0, 200), seed=st.integers(0, 100))
def test_parts_have_the_levels_of_the_whole(frames: int, cut: int, seed: int) -> None:
    features = torch.randn(2, frames, 3, generator=torch.Generator().manual_seed(seed)) * 5 - 3
    follower = LevelFollower(seconds_per_frame=0.01)
    whole, cut = follower(features), min(cut, frames)
    first = follower(features[:, :cut])
    before = first[:, -1] if cut else follower.start(2)
    torch.testing.assert_close(torch.cat([first, follower(features[:, cut:], before)], 1), whole, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", ["log_mel", "kaldi"])
@pytest.mark.parametrize("gain", [-25.0, -10.0, 6.0])
def test_quiet_and_loud_copies_have_the_features_of_the_sound(kind: str, gain: float) -> None:
    front = FrontEnd(FeatureOptions(kind=kind, bins=20, normalisation="level"))  # type: ignore[arg-type]
    follower = front.normalise.level
    assert follower is not None
    sound = torch.randn(1, 32000, generator=torch.Generator().manual_seed(0)) * 0.3
    lengths = torch.tensor([32000])
    follower.fit(front.extract(sound, lengths)[0].mean(2).max())
    expected, _ = front(sound, lengths)
    found, _ = front(sound * 10 ** (gain / 20), lengths)
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)
    plain = front.extract(sound * 10 ** (gain / 20), lengths)[0] - front.extract(sound, lengths)[0]
    assert plain.mean() == pytest.approx(gain * DECIBEL, abs=0.02)  # without the level they differ by the gain


def test_a_level_needs_mel_bands() -> None:
    with pytest.raises(UserError, match=r"features\.normalisation=level needs mel bands"):
        FrontEnd(FeatureOptions(kind="mfcc", normalisation="level"))
