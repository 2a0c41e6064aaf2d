"""Codecs: speech stays in place, loses what the codec loses, and keeps what it keeps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.audio.codecs import CODECS, Codec, apply_codec, limit_band, nearest_rate

RATES = (8000, 16000, 22050, 48000)


def chirps(rate: int, seconds: float = 1.0, seed: int = 0) -> np.ndarray:
    """Bursts of band-limited noise, as syllables are."""
    generator = np.random.default_rng(seed)
    count = round(seconds * rate)
    noise = limit_band(generator.standard_normal(count).astype(np.float32), rate, (400.0, 3000.0))
    envelope = np.clip(np.sin(2 * np.pi * 4 * np.arange(count) / rate), 0.0, 1.0)
    wave: np.ndarray = (0.5 * envelope * noise / np.abs(noise).max()).astype(np.float32)
    return wave


def delay(first: np.ndarray, second: np.ndarray) -> int:
    """Samples by which the second is later."""
    spectrum = np.fft.rfft(second, 2 * len(first)) * np.conj(np.fft.rfft(first, 2 * len(first)))
    place = int(np.argmax(np.fft.irfft(spectrum)))
    return place if place < len(first) else place - 2 * len(first)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("codec", CODECS)
def test_speech_stays_in_place_and_is_still_itself(codec: Codec, rate: int) -> None:
    speech = chirps(rate)
    decoded = apply_codec(speech, rate, codec)
    assert decoded.shape == speech.shape and decoded.dtype == np.float32
    assert abs(delay(speech, decoded)) <= rate // 1000  # a millisecond
    correlation = float(np.dot(speech, decoded) / np.sqrt(np.dot(speech, speech) * np.dot(decoded, decoded)))
    # Noise, which has no pitch, is what GSM's long-term prediction is worst at.
    assert (0.5 if codec == "gsm" else 0.8) < correlation < 0.99999


@pytest.mark.parametrize("codec", ["mu_law", "a_law", "gsm"])
def test_a_telephone_loses_what_lies_outside_its_band(codec: Codec) -> None:
    rate = 16000
    time = np.arange(rate) / rate
    for frequency, kept in ((60.0, False), (1000.0, True), (5000.0, False)):
        tone = (0.3 * np.sin(2 * np.pi * frequency * time)).astype(np.float32)
        power = float(np.square(apply_codec(tone, rate, codec)).mean() / np.square(tone).mean())
        assert (power > 0.5) if kept else (power < 0.05), (frequency, power)


def test_more_compression_loses_more() -> None:
    speech = chirps(16000) + 0.05 * np.random.default_rng(1).standard_normal(16000).astype(np.float32)
    losses = [
        float(np.square(apply_codec(speech, 16000, "mp3", compression=level) - speech).mean()) for level in (0.0, 1.0)
    ]
    assert losses[0] < losses[1]


@given(st.sampled_from(CODECS), st.integers(1, 3000), st.sampled_from(RATES), st.floats(0.0, 10.0))
def test_any_length_and_loudness(codec: Codec, length: int, rate: int, peak: float) -> None:
    samples = (peak * np.random.default_rng(length).uniform(-1, 1, length)).astype(np.float32)
    decoded = apply_codec(samples, rate, codec)
    assert decoded.shape == samples.shape
    assert np.isfinite(decoded).all()


def test_silence_stays_nearly_silent() -> None:
    for codec in CODECS:
        assert np.abs(apply_codec(np.zeros(8000, np.float32), 16000, codec)).max() < 0.01


def test_rates_of_mp3() -> None:
    assert [nearest_rate(rate) for rate in (6000, 8000, 8001, 44100, 96000)] == [8000, 8000, 11025, 44100, 48000]
