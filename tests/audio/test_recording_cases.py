"""Recordings that once broke something: the files of tests/cases/audio, and variants of each kind."""

from __future__ import annotations

import logging
import struct
import time
import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from speechrnn.audio import (
    AUDIO_SUFFIXES,
    AudioError,
    SegmentationOptions,
    TruncatedAudioError,
    audio_blocks,
    audio_info,
    detect_speech,
    find_audio,
    load_audio,
)
from speechrnn.audio.vad import EnergyDetector, SileroDetector, SpeechDetector

CASES = Path(__file__).parents[1] / "cases" / "audio"
RATE = 16000
SPEECH = CASES / "stale_header.wav"  # 3.6 s of AN4


def read_all(path: Path, sampling_rate: int | None = None) -> tuple[np.ndarray, str | None]:
    """Return what can be read of a recording (samples,), and the message where it is not whole."""
    blocks: list[np.ndarray] = []
    try:
        for block in audio_blocks(path, 1.0, sampling_rate, strict=False):
            blocks.append(block)
    except TruncatedAudioError as error:
        return np.concatenate(blocks) if blocks else np.empty(0, np.float32), str(error)
    return np.concatenate(blocks), None


def onset(samples: np.ndarray, rate: int, level: float = 0.02) -> float:
    """Return the time in seconds of the first loud sample."""
    return float(np.flatnonzero(np.abs(samples) > level)[0] / rate)


# Time of the file.


@pytest.mark.parametrize("name", ["late3s.mp4", "late3s.mkv"])
def test_sound_that_starts_late_is_preceded_by_silence(name: str) -> None:
    samples, message = read_all(CASES / name)
    rate = audio_info(CASES / name).sampling_rate
    assert message is None
    assert onset(samples, rate, 0.001) > 2.95 and onset(samples, rate) == pytest.approx(3.32, abs=0.05)
    assert audio_info(CASES / name).duration == pytest.approx(len(samples) / rate, abs=0.02)


@pytest.mark.parametrize("name", ["gap5s.mp4", "gap5s.mkv"])
def test_a_gap_between_time_stamps_is_silence(name: str) -> None:
    samples, message = read_all(CASES / name)
    rate = audio_info(CASES / name).sampling_rate
    assert message is None and len(samples) == pytest.approx(8.6 * rate, abs=0.02 * rate)
    assert not samples[round(1.3 * rate) : round(6.1 * rate)].any()
    assert onset(samples[round(1.3 * rate) :], rate) + 1.3 == pytest.approx(6.2, abs=0.3)


def test_a_picture_longer_than_the_sound_is_no_truncation() -> None:
    samples, message = read_all(CASES / "video.mkv", RATE)
    assert message is None and len(samples) == pytest.approx(3.6 * RATE, abs=0.02 * RATE)


@pytest.mark.parametrize("layout", ["7.1", "22.2"])
@pytest.mark.parametrize("codec", ["pcm_s16le", "aac"])
def test_many_channels_in_a_container_are_read(tmp_path: Path, layout: str, codec: str) -> None:
    """Of planar frames, PyAV reads 8 channels; with more, the process ended."""
    path = tmp_path / "many.mkv"
    count = av.AudioLayout(layout).nb_channels
    tones = 0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)[:, None] * np.linspace(0.5, 1, count)
    with av.open(str(path), "w") as container:
        try:
            stream = container.add_stream(codec, rate=RATE, layout=layout)
        except (ValueError, av.error.FFmpegError):
            pytest.skip("FFmpeg cannot write it")
        assert isinstance(stream, av.AudioStream)
        resampler = av.AudioResampler(format=stream.format.name, layout=layout, rate=RATE)
        try:
            for start in range(0, len(tones), 1024):
                packed = np.ascontiguousarray(tones[start : start + 1024].astype(np.float32).reshape(1, -1))
                frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
                frame.sample_rate, frame.pts = RATE, start
                for part in resampler.resample(frame):
                    container.mux(stream.encode(part))
            container.mux(stream.encode(None))
        except av.error.FFmpegError:
            pytest.skip("FFmpeg cannot write it")
    assert audio_info(path).channels == count
    samples, message = read_all(path)
    expected = np.abs(tones.mean(1)).max()
    assert message is None and np.abs(samples[2000:-2000]).max() == pytest.approx(
        expected,
        rel=0.01 if codec == "pcm_s16le" else 0.2,  # AAC keeps only the bass of the channel for it
    )


def write_track(
    path: Path, codec: str, rate: int, start: float, gap: float, picture: bool = True, **options: str
) -> np.ndarray:
    """Write 2 s of tone at `start` and, after `gap` more seconds, again, under a picture that lasts longer.

    Returns:
        the recording that should be read, (samples,).
    """
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * rate) / rate)).astype(np.float32)
    with av.open(str(path), "w", options=options) as container:
        if picture:
            video = container.add_stream({".webm": "libvpx", ".flv": "flv"}.get(path.suffix, "mpeg4"), rate=10)
            assert isinstance(video, av.VideoStream)
            video.width = video.height = 32
            video.pix_fmt = "yuv420p"
        sound = container.add_stream(codec, rate=rate, layout="mono")
        assert isinstance(sound, av.AudioStream)
        packets: list[av.Packet] = []
        if picture:
            assert isinstance(video, av.VideoStream)
            for number in range(round(10 * (start + gap + 5))):
                image = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
                image.pts, image.time_base = number, Fraction(1, 10)
                packets += video.encode(image)
            packets += video.encode(None)
        size = sound.codec_context.frame_size or 1024
        for first in (start, start + 2 + gap):
            for begin in range(0, 2 * rate, size):
                part = tone[begin : begin + size]
                if len(part) < size:
                    continue
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part[None]), format="fltp", layout="mono")
                frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
                frame.pts = round(first * rate) + begin
                packets += sound.encode(frame)
        packets += sound.encode(None)
        for packet in sorted(packets, key=lambda packet: float((packet.dts or 0) * packet.time_base)):
            container.mux(packet)
    silence = [np.zeros(round(seconds * rate), np.float32) for seconds in (start, gap)]
    return np.concatenate([silence[0], tone, silence[1], tone])


@pytest.mark.parametrize(("start", "gap"), [(1.5, 0.0), (0.0, 3.0), (2.0, 1.0)])
@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "aac", {}),
        ("b.mp4", "aac", {"use_editlist": "0"}),
        ("a.mov", "alac", {}),
        ("a.mkv", "aac", {}),
        ("b.mkv", "flac", {}),
        ("a.webm", "libopus", {}),
        ("a.ts", "aac", {}),
        ("b.ts", "mp2", {}),
        ("a.flv", "libmp3lame", {}),
    ],
)
def test_sound_lies_on_the_clock_of_its_container(
    tmp_path: Path, name: str, codec: str, options: dict[str, Any], start: float, gap: float
) -> None:
    rate = {"flac": 16000, "alac": 16000, "libmp3lame": 44100}.get(codec, 48000)
    path = tmp_path / name
    try:
        expected = write_track(path, codec, rate, start=start, gap=gap, **options)
    except (ValueError, av.error.FFmpegError) as error:
        pytest.skip(f"this FFmpeg does not write {codec} in {path.suffix}: {error}")
    samples, message = read_all(path)
    assert message is None
    frame = rate // 10
    loud = [np.abs(samples[at : at + frame]).max() > 0.05 for at in range(0, len(samples), frame)]
    wanted = [np.abs(expected[at : at + frame]).max() > 0.05 for at in range(0, len(expected), frame)]
    differing = sum(a != b for a, b in zip(loud, wanted, strict=False)) + abs(len(loud) - len(wanted))
    assert differing <= 4, f"{differing} tenths of a second are elsewhere"


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mkv", "aac"), ("a.webm", "libopus"), ("a.avi", "mp2"), ("a.ts", "mp2")]
)
def test_a_container_that_breaks_off_is_reported(tmp_path: Path, name: str, codec: str) -> None:
    path = tmp_path / name
    write_track(path, codec, 48000, start=0.0, gap=0.0)
    assert read_all(path)[1] is None
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10 + 1])
    samples, message = read_all(path)
    assert message is not None and "breaks off" in message and len(samples) > 48000
    with pytest.raises(TruncatedAudioError):
        load_audio(path)


# Formats without seeking, and damage.


@pytest.mark.parametrize(
    ("container", "coding"),
    [
        *(("WAV", coding) for coding in ("GSM610", "NMS_ADPCM_16", "NMS_ADPCM_24", "NMS_ADPCM_32", "G721_32")),
        *(("AU", coding) for coding in ("G721_32", "G723_24", "G723_40")),
        ("AIFF", "GSM610"),
        ("W64", "GSM610"),
        ("XI", "DPCM_8"),
        ("XI", "DPCM_16"),
    ],
)
@pytest.mark.parametrize("sampling_rate", [None, 16000])
def test_codings_without_seeking_are_read(
    tmp_path: Path, container: str, coding: str, sampling_rate: int | None
) -> None:
    path = tmp_path / "a.wav"
    tone = (0.3 * np.sin(2 * np.pi * 300 * np.arange(16000) / 8000)).astype(np.float32)
    try:
        soundfile.write(path, tone, 8000, format=container, subtype=coding)
    except (soundfile.LibsndfileError, ValueError, KeyError) as error:
        pytest.skip(f"libsndfile does not write {coding} in {container}: {error}")
    samples, rate = load_audio(path, sampling_rate)
    assert len(samples) >= 15000 * rate / audio_info(path).sampling_rate
    clip, _ = load_audio(path, sampling_rate, start=0.1, duration=0.2)
    first = int(np.floor(0.1 * rate + 0.5))
    np.testing.assert_allclose(clip, samples[first : first + len(clip)], atol=1e-5)
    assert np.corrcoef(samples[: rate // 10], np.interp(np.arange(rate // 10) * audio_info(path).sampling_rate / rate,
                       np.arange(len(tone)), tone))[0, 1] > 0.8  # fmt: skip


def test_voicemail_in_gsm_is_read() -> None:
    samples, message = read_all(CASES / "gsm610_8k.wav")
    assert message is None and len(samples) == 28800 and samples.std() > 0.01


def test_a_flipped_bit_in_the_first_flac_frame_is_reported_after_what_can_be_read() -> None:
    samples, message = read_all(CASES / "onebit.flac")
    assert len(samples) == 64000 and samples.std() > 0.01
    assert message is not None and "onebit.flac" in message and "damaged" in message
    with pytest.raises(AudioError, match="damaged"):
        load_audio(CASES / "onebit.flac")


@pytest.mark.parametrize("place", [0.0, 0.3, 0.7])
@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.mp3", "a.mkv", "a.m4a"])
def test_damage_anywhere_is_an_error_of_that_file(tmp_path: Path, name: str, place: float) -> None:
    path = tmp_path / name
    tone = (0.3 * np.sin(2 * np.pi * 300 * np.arange(4 * RATE) / RATE)).astype(np.float32)
    if path.suffix in (".mkv", ".m4a"):
        write_track(path, "aac", 48000, start=0.0, gap=0.0, picture=False)
    else:
        soundfile.write(path, tone, RATE)
    content = bytearray(path.read_bytes())
    generator = np.random.default_rng(round(10 * place))
    for _ in range(20):
        damaged = bytearray(content)
        at = int(place * len(content)) + int(generator.integers(100, len(content) // 4))
        damaged[at] ^= 1 << int(generator.integers(8))
        path.write_bytes(damaged)
        for start in (0.0, 1.0, 2.5):
            try:
                load_audio(path, 8000, start=start, duration=0.5)
            except AudioError as error:
                assert str(path) in str(error) and "\n" not in str(error)
        try:
            read_all(path)
        except AudioError as error:
            assert str(path) in str(error) and "\n" not in str(error)


def header(rate: int, seconds: float = 2.0) -> bytes:
    data = bytes(round(2 * seconds * RATE))
    form = struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate % 2**32, 2, 16)
    return (
        b"RIFF" + struct.pack("<I", len(data) + 36) + b"WAVEfmt " + form + b"data" + struct.pack("<I", len(data)) + data
    )


@pytest.mark.parametrize("rate", [1, 999, 1_000_001, 2**31 - 1])
def test_a_rate_that_no_recorder_has_is_refused_at_once(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(header(rate))
    tracemalloc.start()
    began = time.process_time()
    for read in (audio_info, load_audio, lambda path: load_audio(path, 16000)):
        with pytest.raises(AudioError, match=r"a\.wav .*(sampling rate|no audio)"):
            read(path)
    assert time.process_time() - began < 20 and tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


def test_the_rates_at_the_limits_are_read(tmp_path: Path) -> None:
    for rate in (1000, 1_000_000):
        (tmp_path / "a.wav").write_bytes(header(rate))
        assert audio_info(tmp_path / "a.wav").sampling_rate == rate
    with pytest.raises(AudioError, match="sampling rate of 1 Hz"):
        load_audio(CASES / "header_says_1_hz.wav", 16000)


# Stale headers.


def test_a_wav_file_is_read_beyond_a_stale_header(tmp_path: Path) -> None:
    samples, message = read_all(SPEECH)
    assert message is None and len(samples) == 57600
    content = SPEECH.read_bytes()
    riff = bytearray(content)
    for stated in (3200, 57600):
        riff[40:44] = struct.pack("<I", stated)
        (tmp_path / "a.wav").write_bytes(riff)
        np.testing.assert_array_equal(load_audio(tmp_path / "a.wav")[0], samples)
        assert audio_info(tmp_path / "a.wav").samples == 57600


def test_chunks_behind_the_samples_are_no_samples(tmp_path: Path) -> None:
    data = np.arange(1600, dtype="<i2").tobytes()
    form = struct.pack("<IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    chunk = b"LIST" + struct.pack("<I", 9000) + b"INFO" + bytes(8996)
    body = b"WAVEfmt " + form + b"data" + struct.pack("<I", len(data)) + data + chunk
    (tmp_path / "a.wav").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert len(load_audio(tmp_path / "a.wav")[0]) == 1600


# Channels.


def test_stereo_out_of_phase_is_read_from_one_channel(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "speechrnn"):
        samples, _ = load_audio(CASES / "stereo_out_of_phase.wav", RATE)
    left, _ = load_audio(CASES / "stereo_out_of_phase.wav", RATE, channel=0)
    np.testing.assert_array_equal(samples, left)
    assert samples.std() > 0.01


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_out_of_phase_in_other_codecs_and_clips(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / name
    speech, _ = load_audio(SPEECH)
    silence = np.zeros(RATE, np.float32)
    left = np.concatenate([silence, 0.5 * speech, silence])
    soundfile.write(path, np.stack([left, -2 * left], 1), RATE)
    with caplog.at_level(logging.WARNING, "speechrnn"):
        whole, _ = load_audio(path)
        clip, _ = load_audio(path, start=2.0, duration=1.0)
    assert "cancel" not in caplog.text  # 6 dB apart they do not cancel
    soundfile.write(path, np.stack([left, -left], 1), RATE)
    with caplog.at_level(logging.WARNING, "speechrnn"):
        whole, _ = load_audio(path)
        clip, _ = load_audio(path, start=2.0, duration=1.0)
    assert name in caplog.text and "cancel" in caplog.text
    np.testing.assert_allclose(clip, whole[2 * RATE : 3 * RATE], atol=1e-5)
    assert np.abs(whole).max() > 0.5 * np.abs(left).max()


def test_ordinary_stereo_is_mixed(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for right in (0.0, 0.5, 1.0):
        left = generator.uniform(-0.5, 0.5, RATE)
        soundfile.write(tmp_path / "a.wav", np.stack([left, right * left], 1), RATE, subtype="FLOAT")
        np.testing.assert_allclose(load_audio(tmp_path / "a.wav")[0], left * (1 + right) / 2, atol=1e-6)


# What the detector finds.


@pytest.fixture(params=["silero", "energy"])
def detector(request: pytest.FixtureRequest) -> SpeechDetector:
    if request.param == "energy":
        return EnergyDetector()
    pytest.importorskip("silero_vad", reason="the extra [vad] is not installed")
    return SileroDetector()


@pytest.mark.parametrize("decibels", [0, -30, -50])
@pytest.mark.parametrize("offset", [0.0, 0.3, -0.6])
def test_quiet_speech_with_an_offset_is_found(detector: SpeechDetector, decibels: float, offset: float) -> None:
    speech, _ = load_audio(SPEECH)
    samples = (speech * np.float32(10 ** (decibels / 20)) + np.float32(offset)).astype(np.float32)
    assert detect_speech([samples], RATE, SegmentationOptions(), detector=detector) == [True]
    samples, _ = load_audio(CASES / "dc_0.3_quiet.wav")
    assert detect_speech([samples], RATE, SegmentationOptions(), detector=detector) == [True]


@pytest.mark.parametrize("decibels", [-20, -50, -80])
def test_quiet_noise_alone_is_no_speech(detector: SpeechDetector, decibels: float) -> None:
    level = 10 ** (decibels / 20)
    noise = (level * np.random.default_rng(0).standard_normal(10 * RATE) + 0.1).astype(np.float32)
    assert detect_speech([noise], RATE, SegmentationOptions(), detector=detector) == [False]
    assert detect_speech([np.full(RATE, 0.3, np.float32)], RATE, SegmentationOptions(), detector=detector) == [False]


def test_films_count_as_recordings(tmp_path: Path) -> None:
    names = ["a.avi", "b.ts", "c.mts", "d.flv", "e.wmv", "f.mpg", "g.mp2", "h.AVI"]
    for name in names:
        (tmp_path / name).touch()
    assert [path.name for path in find_audio(tmp_path)] == sorted(names)
    assert {Path(name).suffix.lower() for name in names} <= AUDIO_SUFFIXES
