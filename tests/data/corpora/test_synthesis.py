"""Synthetic utterances: draws, noise, level, margins and times of words."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from helpers.synthetic_speech import DRAW
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.core.errors import UserError
from speechrnn.data.corpora import SPLITS
from speechrnn.data.corpora.synthesis import MARGIN, Settings, coloured_noise, draw, record

SETTINGS = Settings(
    seed=0,
    sampling_rate=16000,
    voices={"train": ("en-us", "en+f3", "en-029+m1"), "dev": ("en+f2",), "test": ("en+m3",)},
    sentences=None,
    rate=(140, 190),
    pitch=(40, 60),
    pitch_range=(30, 70),
    noises=("white", "pink"),
    snr=(10.0, 30.0),
    level=(-30.0, -20.0),
)


def rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


@given(seed=st.integers(0, 2**63), split=st.sampled_from(SPLITS), index=st.integers(0, 99_999))
def test_each_draw_is_its_own_and_within_its_ranges(seed: int, split: str, index: int) -> None:
    settings = replace(SETTINGS, seed=seed)
    drawn = draw(settings, split, index)
    assert draw(settings, split, index) == drawn
    assert draw(settings, split, index + 1).seed != drawn.seed
    assert drawn.voice == settings.voices[split][index % len(settings.voices[split])]
    for value, (low, high) in (
        (drawn.rate, settings.rate),
        (drawn.pitch, settings.pitch),
        (drawn.pitch_range, settings.pitch_range),
        (drawn.snr, settings.snr),
        (drawn.level, settings.level),
    ):
        assert low <= value <= high
    assert drawn.noise in settings.noises


def test_both_ends_of_a_range_are_drawn() -> None:
    settings = replace(SETTINGS, rate=(150, 152), pitch=(50, 50))
    drawn = [draw(settings, "train", index) for index in range(60)]
    assert {each.rate for each in drawn} == {150, 151, 152}
    assert {each.pitch for each in drawn} == {50}


def test_white_noise_is_flat_and_pink_noise_falls_by_3_db_an_octave() -> None:
    for colour, slope in (("white", 0.0), ("pink", -3.01)):
        noise = coloured_noise(colour, 200_003, np.random.default_rng(0))  # type: ignore[arg-type]
        assert noise.shape == (200_003,)
        assert rms(noise) == pytest.approx(1.0, abs=1e-5)
        power = np.abs(np.fft.rfft(noise)) ** 2
        octaves = [10 * np.log10(power[2**k : 2 ** (k + 1)].mean()) for k in range(9, 16)]
        assert np.diff(octaves) == pytest.approx(slope, abs=0.35)


@pytest.mark.parametrize("colour", ["white", "pink"])
@pytest.mark.parametrize("snr", [0.0, 20.0])
def test_the_drawn_snr_is_that_of_the_mixture(colour: str, snr: float) -> None:
    clean = record(DRAW, 16000).samples.astype(np.float64)
    mixed = record(replace(DRAW, noise=colour, snr=snr), 16000).samples  # type: ignore[arg-type]
    noise = coloured_noise(colour, len(clean), np.random.default_rng(DRAW.seed))  # type: ignore[arg-type]
    parts = np.stack([clean, noise], axis=1)
    (speech_gain, noise_gain), *_ = np.linalg.lstsq(parts, mixed, rcond=None)
    np.testing.assert_allclose(parts @ [speech_gain, noise_gain], mixed, atol=1e-6)
    margin = round(MARGIN * 16000)
    ratio = speech_gain * rms(clean[margin:-margin]) / (noise_gain * rms(noise))
    assert 20 * np.log10(ratio) == pytest.approx(snr, abs=0.1)


@pytest.mark.parametrize("level", [-40.0, -20.0])
def test_level_and_margins(level: float) -> None:
    samples = record(replace(DRAW, level=level), 16000).samples
    assert 20 * np.log10(rms(samples)) == pytest.approx(level, abs=0.01)
    margin = round(MARGIN * 16000)
    assert not samples[:margin].any()
    assert not samples[-margin:].any()
    # The sound itself begins and ends within a frame of the search (32 ms).
    loud = np.flatnonzero(np.abs(samples) > 0.003 * np.abs(samples).max())
    assert loud[0] < margin + 0.04 * 16000
    assert loud[-1] > len(samples) - margin - 0.04 * 16000


def test_a_level_beyond_full_scale_stops_at_the_peak() -> None:
    samples = record(replace(DRAW, level=0.0), 16000).samples
    assert np.abs(samples).max() == pytest.approx(0.97, abs=1e-6)


@pytest.mark.parametrize("sampling_rate", [8000, 16000, 44100])
def test_word_times_survive_resampling_and_trimming(sampling_rate: int) -> None:
    speech = record(replace(DRAW, text="Nine. Lemon."), sampling_rate)
    assert speech.sampling_rate == sampling_rate
    nine, lemon = speech.words
    assert nine.start == pytest.approx(MARGIN, abs=0.04)
    at = np.arange(len(speech.samples)) / sampling_rate
    between = speech.samples[(at > nine.end + 0.05) & (at < lemon.start - 0.03)]
    assert len(between) > 0.05 * sampling_rate
    assert rms(between) < 0.01 * rms(speech.samples[(at > nine.start) & (at < nine.end)])


def test_a_sentence_without_sound_is_named() -> None:
    with pytest.raises(UserError, match=re.escape("sentence '...' has no sound")):
        record(replace(DRAW, text="..."), 16000)
