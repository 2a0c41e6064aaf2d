"""Augmentation, each effect against what it should do by construction."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.audio.augmentation import (
    AugmentedWaveform,
    SpecAugment,
    SpecAugmentOptions,
    WaveformAugment,
    WaveformOptions,
    change_speed,
    find_quietest,
    make_room_tone,
    reverberate,
)
from speechrnn.audio.codecs import CODECS, Codec
from speechrnn.core.errors import UserError

RATE = 16000
PLAIN = WaveformOptions(speeds=(1.0,), padding=0.0, volume=(0.0, 0.0))


@settings(max_examples=30)
@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_masks_stay_within_their_limits(lengths: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    options = SpecAugmentOptions(1, 3, 1, time_width=0.1, time_share=0.5)
    masked = SpecAugment(options, hop=0.01)(torch.ones(len(lengths), 60, 12), torch.tensor(lengths)) == 0
    for row, length in zip(masked, lengths, strict=True):
        intervals = row.all(dim=1)
        bands = row[~intervals].all(dim=0) if not intervals.all() else torch.zeros(12)
        assert int(intervals.sum()) <= min(10, 0.5 * length)
        assert not intervals[length:].any()
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
    options = replace(PLAIN, noise=(str(tmp_path),), noise_share=1.0, snr=(12.0, 12.0))
    speech = np.sin(np.arange(RATE)).astype(np.float32)
    noisy = WaveformAugment(options, RATE)(speech, generator).samples
    ratio = 10 * np.log10((speech**2).sum() / ((noisy - speech) ** 2).sum())
    assert ratio == pytest.approx(12.0, abs=0.05)


def test_silent_intervals_of_noise_add_nothing(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "noise.wav", np.r_[np.zeros(3 * RATE), 0.1 * np.ones(100)], RATE)
    options = replace(PLAIN, noise=(str(tmp_path),), noise_share=1.0)
    augment = WaveformAugment(options, RATE)
    speech = np.sin(np.arange(800)).astype(np.float32)
    for seed in range(20):
        assert np.isfinite(augment(speech, np.random.default_rng(seed)).samples).all()


def test_volume_is_in_decibels() -> None:
    options = replace(PLAIN, volume=(-20.0, -20.0))
    quiet = WaveformAugment(options, RATE)(np.ones(10, np.float32), np.random.default_rng(0))
    np.testing.assert_allclose(quiet.samples, 0.1, rtol=1e-5)


def test_a_room_keeps_the_direct_sound_in_place() -> None:
    room = torch.zeros(300)
    room[40], room[240] = 1.0, 0.5
    wave = torch.zeros(1000)
    wave[100] = 1.0
    sound = reverberate(wave, room)
    assert sound.shape == wave.shape
    assert sound[100] == pytest.approx(1.0, abs=1e-5)
    assert sound[300] == pytest.approx(0.5, abs=1e-5)


def test_rooms_are_scaled_to_unit_energy_and_used(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "room.wav", np.r_[0.5, np.zeros(99), 0.25, np.zeros(300)], RATE, subtype="FLOAT")
    options = replace(PLAIN, rooms=(str(tmp_path / "room.wav"),), room_share=1.0)
    augment = WaveformAugment(options, RATE)
    assert np.linalg.norm(augment.rooms[0]) == pytest.approx(1.0, abs=1e-6)
    wave = np.zeros(400, np.float32)
    wave[0] = 1.0
    sound = augment(wave, np.random.default_rng(0)).samples
    assert sound[100] / sound[0] == pytest.approx(0.5, abs=1e-4)


def test_the_same_generator_gives_the_same_sound() -> None:
    augment = WaveformAugment(WaveformOptions(), RATE)
    wave = np.sin(np.arange(500)).astype(np.float32)
    first, second, other = (augment(wave, np.random.default_rng([0, seed])).samples for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_plain_options_change_nothing() -> None:
    wave = np.sin(np.arange(500)).astype(np.float32)
    augment = WaveformAugment(PLAIN, RATE)
    generator = np.random.default_rng(0)
    assert augment.draw_speed(generator) == 1.0
    sound = augment(wave, generator)
    np.testing.assert_array_equal(sound.samples, wave)
    assert (sound.start, sound.end) == (0, len(wave))


def test_pauses_of_random_length_stand_around_the_recording() -> None:
    augment = WaveformAugment(replace(PLAIN, padding=0.2), RATE)
    wave = np.random.default_rng(0).standard_normal(RATE // 10).astype(np.float32)
    sounds = [augment(wave, np.random.default_rng(seed)) for seed in range(60)]
    for sound in sounds:
        np.testing.assert_array_equal(sound.samples[sound.start : sound.end], wave)
    for lengths in (
        [sound.start for sound in sounds],
        [len(sound.samples) - sound.end for sound in sounds],
    ):
        assert 0 <= min(lengths) < 0.03 * RATE and 0.17 * RATE < max(lengths) <= 0.2 * RATE
    assert len({sound.start - (len(sound.samples) - sound.end) for sound in sounds}) > 50  # each end on its own


def test_pauses_sound_like_the_quietest_background() -> None:
    """Here a hum of 200 Hz at a hundredth of the speech: it goes on in the pauses, at its level or below."""
    time = np.arange(RATE) / RATE
    hum = 0.01 * np.sin(2 * np.pi * 200 * time)
    wave = np.where((time > 0.4) & (time < 0.6), hum, np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)
    augment = WaveformAugment(replace(PLAIN, padding=1.0), RATE)
    levels = [np.std(np.concatenate(augment.draw_pauses(wave, np.random.default_rng(seed)))) for seed in range(40)]
    assert max(levels) == pytest.approx(0.01 / np.sqrt(2), rel=0.2)
    assert 10 < sum(level > 0.005 for level in levels) < 30  # about half of them as loud, some as good as silent
    assert min(levels) < 0.0001
    before, after = augment.draw_pauses(wave, np.random.default_rng(1))
    assert min(len(before), len(after)) > RATE // 10
    pause = np.r_[before, after]
    spectrum = np.abs(np.fft.rfft(pause * np.hanning(len(pause))))
    assert spectrum.argmax() * RATE / len(pause) == pytest.approx(200, abs=25)


def test_the_quietest_background_is_found_and_has_no_offset() -> None:
    wave = np.ones(1000, np.float32)
    wave[300:340] = np.r_[np.full(20, 0.2), np.full(20, 0.4)]
    np.testing.assert_allclose(find_quietest(wave, 40), np.r_[np.full(20, -0.1), np.full(20, 0.1)], atol=1e-6)
    assert len(find_quietest(wave[:7], 40)) == 7


@given(width=st.integers(1, 50), length=st.integers(0, 500), seed=st.integers(0, 99))
def test_room_tone_has_the_asked_length_and_no_louder_moment(width: int, length: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    background = generator.standard_normal(width).astype(np.float32)
    tone = make_room_tone(background, length, generator)
    assert tone.shape == (length,) and tone.dtype == np.float32
    # two copies under a window of sine and cosine
    assert np.abs(tone).max(initial=0.0) <= np.sqrt(2) * np.abs(background).max() + 1e-5


def test_pauses_of_digital_silence_are_silent() -> None:
    wave = np.r_[np.sin(np.arange(2000)), np.zeros(2000)].astype(np.float32)
    sound = WaveformAugment(replace(PLAIN, padding=0.1), RATE)(wave, np.random.default_rng(0))
    assert sound.start > 0 and not sound.samples[: sound.start].any() and not sound.samples[sound.end :].any()


def test_bad_options_have_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"augmentation\.waveform\.speeds"):
        WaveformAugment(WaveformOptions(speeds=(0.0,)), RATE)
    with pytest.raises(UserError, match="nowhere"):
        WaveformAugment(WaveformOptions(noise=(str(tmp_path / "nowhere"),)), RATE)


@pytest.mark.parametrize(("start", "end"), [(-1, 5), (6, 5), (0, 11), (11, 11)])
def test_a_recording_outside_its_samples_is_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="must lie within 10 samples"):
        AugmentedWaveform(np.zeros(10, np.float32), start, end)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a long and a short noise, and a room whose direct sound is late."""
    folder = tmp_path_factory.mktemp("sounds")
    generator = np.random.default_rng(0)
    for name, samples in (("long", 2 * RATE), ("short", 200)):
        soundfile.write(folder / f"{name}.wav", 0.1 * generator.standard_normal(samples), RATE)
    room = 0.05 * generator.standard_normal(RATE // 8) * np.exp(-np.arange(RATE // 8) / 500)
    room[300] = 0.9
    soundfile.write(folder / "room.wav", room, RATE)
    return folder


@given(
    padding=st.sampled_from([0.0, 0.01, 0.3]),
    noise=st.sampled_from([(), ("long",), ("short",), ("long", "short")]),
    noise_share=st.sampled_from([0.0, 0.5, 1.0]),
    rooms=st.booleans(),
    room_share=st.sampled_from([0.0, 0.5, 1.0]),
    volume=st.sampled_from([(0.0, 0.0), (-20.0, 6.0)]),
    speed=st.sampled_from([0.9, 1.0, 1.1]),
    length=st.integers(2000, 6000),
    codec=st.sampled_from([None, *CODECS]),
    seed=st.integers(0, 10**6),
)
def test_the_speech_lies_between_start_and_end_with_every_mix_of_options(
    files: Path,
    padding: float,
    noise: tuple[str, ...],
    noise_share: float,
    rooms: bool,
    room_share: float,
    volume: tuple[float, float],
    speed: float,
    length: int,
    codec: Codec | None,
    seed: int,
) -> None:
    options = WaveformOptions(
        speeds=(speed,),
        padding=padding,
        volume=volume,
        noise=tuple(str(files / f"{name}.wav") for name in noise),
        noise_share=noise_share,
        snr=(10.0, 20.0),
        rooms=(str(files / "room.wav"),) if rooms else (),
        room_share=room_share,
        codecs=(codec,) if codec else (),
        codec_share=1.0 if codec else 0.0,
    )
    generator = np.random.default_rng(seed)
    augment = WaveformAugment(options, RATE)
    speech = change_speed(generator.uniform(-0.9, 0.9, length).astype(np.float32), augment.draw_speed(generator))
    sound = augment(speech, generator)
    assert 0 <= sound.start <= sound.end <= len(sound.samples)
    assert sound.end - sound.start == len(speech)
    assert max(sound.start, len(sound.samples) - sound.end) <= padding * RATE + 1
    # The speech is found where the record says: the correlation with it is largest there.
    found = int(np.argmax(np.abs(np.correlate(sound.samples, speech, "valid"))))
    assert abs(found - sound.start) <= (RATE // 1000 if codec else 0)  # a codec's filter may move it by a millisecond
