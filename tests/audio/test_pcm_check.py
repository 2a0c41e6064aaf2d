"""Raw PCM that is not what it was said to be is reported where that can be told, and only there."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest

from speechrnn.audio.live import RawPipe, SampleFormat
from speechrnn.audio.pcm_check import PcmCheck

RATE = 16000  # Hz


def speech(seconds: float = 3.0, level: float = 0.1, rate: int = RATE) -> np.ndarray:
    """Noise in syllables."""
    count = round(seconds * rate)
    noise = np.random.default_rng(0).standard_normal(count) * level
    return (noise * np.sin(np.arange(count) / rate * 2 * np.pi * 3)).clip(-1, 1)


def encoded(samples: np.ndarray, kind: str) -> bytes:
    if kind == "f32":
        return samples.astype("<f4").tobytes()
    if kind == "u8":
        return (samples * 127 + 128).astype("u1").tobytes()
    if kind == "s32":
        return (np.round(samples * 32767).astype("<i4") << 16).tobytes()
    if kind == "s32 noisy":
        return np.round(samples * (2**31 - 1)).astype("<i4").tobytes()
    return np.round(samples * 32767).astype({"s16": "<i2", "s16be": ">i2"}[kind]).tobytes()


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def run(data: bytes, format: SampleFormat = "s16", channels: int = 1) -> None:
    for _ in RawPipe(io.BytesIO(data).read, RATE, format, channels=channels, clock=Clock()).packets():
        pass


@pytest.mark.parametrize("kind", ["f32", "s16be", "u8"])
def test_another_format_is_noise_at_full_scale(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    run(encoded(speech(), kind))
    assert caplog.text.count("full scale") == 1
    assert "format=s16 rate=16000 channels=1" in caplog.text


def test_silence_before_the_sound_does_not_count(caplog: pytest.LogCaptureFixture) -> None:
    run(bytes(4 * RATE * 2) + encoded(speech(), "f32"))
    assert "full scale" in caplog.text


@pytest.mark.parametrize(
    "data",
    [
        encoded(speech(), "s32"),
        encoded(speech(), "s32 noisy"),
        encoded(np.stack([0 * speech(), speech()], 1).ravel(), "s16"),
    ],
)
def test_every_second_sample_shows_another_format(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    run(data)
    assert "format=s32 or channels=2" in caplog.text


@pytest.mark.parametrize("kind", ["s16", "s32", "f32", "u8"])
@pytest.mark.parametrize("level", [0.0, 0.0001, 0.1, 0.3])
def test_the_right_format_is_not_warned_about(
    kind: SampleFormat, level: float, caplog: pytest.LogCaptureFixture
) -> None:
    run(encoded(speech(level=level), kind), kind)
    assert not caplog.text


def arrive(rate: float, told: int = RATE, jitter: Callable[[int], float] = lambda number: 0.0) -> None:
    """Let 30 s of samples come at a rate, in packets of a tenth of a second, after some that have waited."""
    clock = Clock()
    check = PcmCheck(told, "s16", 1, clock=clock)
    check.accept(np.zeros((32000, 1), np.int16))
    check.resume()
    for number in range(300):
        clock.now += 0.1 + jitter(number)
        check.accept(np.zeros((round(rate / 10), 1), np.int16))
        check.resume()


@pytest.mark.parametrize("rate", [44100, 48000, 32000, 8000])
def test_sound_of_another_rate_comes_at_another_speed(rate: int, caplog: pytest.LogCaptureFixture) -> None:
    arrive(rate * 1.001, jitter=lambda number: 0.05 * (-1) ** number)
    assert caplog.text.count(f"rate={rate}") == 1


@pytest.mark.parametrize("rate", [16000, 15900, 100_000, 37_000])
def test_the_told_rate_and_a_file_through_a_pipe_are_not_warned_about(
    rate: int, caplog: pytest.LogCaptureFixture
) -> None:
    arrive(rate)
    assert not caplog.text


def test_a_speed_that_varies_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    arrive(44100, jitter=lambda number: 0.05 if number % 100 < 50 else -0.05)
    assert not caplog.text


def test_a_pipe_that_was_held_up_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    check = PcmCheck(RATE, "s16", 1, clock=clock)
    for _ in range(300):
        check.accept(np.zeros((4410, 1), np.int16))
        clock.now += 0.1  # the packet is not taken sooner
        check.resume()
    assert not caplog.text


def test_the_speed_of_a_wav_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    check = PcmCheck(RATE, "s16", 1, timed=False, clock=clock)
    for _ in range(300):
        clock.now += 0.1
        check.accept(np.zeros((4410, 1), np.int16))
    assert not caplog.text
