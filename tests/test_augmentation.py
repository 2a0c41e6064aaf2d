"""Augmentation, each effect against what it should do by construction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.augmentation import (
    SpecAugment,
    SpecAugmentOptions,
    WaveformAugment,
    WaveformOptions,
    change_speed,
    reverberate,
)
from speechrnn.errors import UserError

RATE = 16000
PLAIN = WaveformOptions(speeds=(1.0,), volume=(0.0, 0.0))


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_masks_stay_within_their_limits(lengths: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    options = SpecAugmentOptions(1, 3, 1, time_width=0.1, time_share=0.5)
    masked = SpecAugment(options, hop=0.01)(torch.ones(len(lengths), 60, 12), torch.tensor(lengths)) == 0
    for row, length in zip(masked, lengths, strict=True):
        stretches = row.all(dim=1)
        bands = row[~stretches].all(dim=0) if not stretches.all() else torch.zeros(12)
        assert int(stretches.sum()) <= min(10, 0.5 * length)
        assert not stretches[length:].any()
        assert int(bands.sum()) <= 3


def test_masks_do_happen_and_differ_between_rows() -> None:
    torch.manual_seed(0)
    masked = SpecAugment(SpecAugmentOptions(), hop=0.01)(torch.ones(8, 300, 80), torch.full((8,), 300)) == 0
    assert all(0 < float(row.float().mean()) < 0.7 for row in masked)
    assert len({tuple(row[:, 0].tolist()) for row in masked}) > 1


def test_speed_changes_length_and_pitch() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    faster = change_speed(tone, 1.25)
    assert len(faster) == RATE * 4 // 5
    spectrum = np.abs(np.fft.rfft(faster * np.hanning(len(faster))))
    assert spectrum.argmax() * RATE / len(faster) == pytest.approx(1250, abs=2)


def test_noise_comes_at_the_drawn_ratio(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    soundfile.write(tmp_path / "noise.wav", 0.1 * generator.standard_normal(RATE // 2), RATE)
    options = WaveformOptions((1.0,), (0.0, 0.0), (str(tmp_path),), noise_share=1.0, snr=(12.0, 12.0))
    speech = np.sin(np.arange(RATE)).astype(np.float32)
    noisy = WaveformAugment(options, RATE)(speech, generator)
    ratio = 10 * np.log10((speech**2).sum() / ((noisy - speech) ** 2).sum())
    assert ratio == pytest.approx(12.0, abs=0.05)


def test_silent_stretches_of_noise_add_nothing(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "noise.wav", np.r_[np.zeros(3 * RATE), 0.1 * np.ones(100)], RATE)
    options = WaveformOptions((1.0,), (0.0, 0.0), (str(tmp_path),), noise_share=1.0)
    augment = WaveformAugment(options, RATE)
    speech = np.sin(np.arange(800)).astype(np.float32)
    for seed in range(20):
        assert np.isfinite(augment(speech, np.random.default_rng(seed))).all()


def test_volume_is_in_decibels() -> None:
    options = WaveformOptions(speeds=(1.0,), volume=(-20.0, -20.0))
    quiet = WaveformAugment(options, RATE)(np.ones(10, np.float32), np.random.default_rng(0))
    np.testing.assert_allclose(quiet, 0.1, rtol=1e-5)


def test_a_room_keeps_the_direct_sound_in_place() -> None:
    room = torch.zeros(300)
    room[40], room[240] = 1.0, 0.5
    wave = torch.zeros(1000)
    wave[100] = 1.0
    heard = reverberate(wave, room)
    assert heard.shape == wave.shape
    assert heard[100] == pytest.approx(1.0, abs=1e-5)
    assert heard[300] == pytest.approx(0.5, abs=1e-5)


def test_rooms_are_scaled_to_unit_energy_and_used(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "room.wav", np.r_[0.5, np.zeros(99), 0.25, np.zeros(300)], RATE, subtype="FLOAT")
    options = WaveformOptions((1.0,), (0.0, 0.0), rooms=(str(tmp_path / "room.wav"),), room_share=1.0)
    augment = WaveformAugment(options, RATE)
    assert np.linalg.norm(augment.rooms[0]) == pytest.approx(1.0, abs=1e-6)
    wave = np.zeros(400, np.float32)
    wave[0] = 1.0
    heard = augment(wave, np.random.default_rng(0))
    assert heard[100] / heard[0] == pytest.approx(0.5, abs=1e-4)


def test_the_same_generator_gives_the_same_sound() -> None:
    augment = WaveformAugment(WaveformOptions(), RATE)
    wave = np.sin(np.arange(500)).astype(np.float32)
    first, second, other = (augment(wave, np.random.default_rng([0, seed])) for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_plain_options_change_nothing() -> None:
    wave = np.sin(np.arange(500)).astype(np.float32)
    augment = WaveformAugment(PLAIN, RATE)
    generator = np.random.default_rng(0)
    assert augment.speed(generator) == 1.0
    np.testing.assert_array_equal(augment(wave, generator), wave)


def test_bad_options_have_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"augmentation\.waveform\.speeds"):
        WaveformAugment(WaveformOptions(speeds=(0.0,)), RATE)
    with pytest.raises(UserError, match="nowhere"):
        WaveformAugment(WaveformOptions(noise=(str(tmp_path / "nowhere"),)), RATE)
