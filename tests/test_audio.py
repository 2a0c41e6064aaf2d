"""Recordings are written here sample by sample, so that every test knows what it must read."""

from __future__ import annotations

import os
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from speechrnn import audio
from speechrnn.audio import AudioError
from speechrnn.errors import UserError

# Largest error of one sample, as a part of full scale: a step of each format.
PRECISION = {"PCM_U8": 2**-7, "PCM_16": 2**-15, "PCM_24": 2**-23, "PCM_32": 1e-7, "FLOAT": 1e-7, "DOUBLE": 1e-7}
RATES = [8000, 11025, 16000, 22050, 44100, 48000]  # Hz


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audio")


def noise(samples: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    """(samples, channels) within +-0.9"""
    return np.random.default_rng(seed).uniform(-0.9, 0.9, (samples, channels)).astype(np.float32)


def speech(samples: int, rate: int) -> np.ndarray:
    """(samples,) a swelling tone over some noise: it survives a lossy codec and shows any shift."""
    time = np.arange(samples) / rate
    tone = 0.3 * np.sin(2 * np.pi * 220 * time) * np.sin(2 * np.pi * 3 * time) ** 2
    return (tone + 0.02 * noise(samples)[:, 0]).astype(np.float32)


def encode(path: Path, codec: str, samples: np.ndarray, rate: int, **options: str) -> Path:
    """Write (samples, channels) with FFmpeg."""
    layout = {1: "mono", 2: "stereo"}[samples.shape[1]]
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        for start in range(0, len(samples), 1024):
            part = np.ascontiguousarray(samples[start : start + 1024].T)
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def sphere(
    data: bytes, count: int, channels: int = 1, coding: str = "pcm", rate: int = 16000, order: str = "01"
) -> bytes:
    """A NIST SPHERE file of 16-bit samples."""
    fields = [
        f"channel_count -i {channels}",
        f"sample_rate -i {rate}",
        "sample_n_bytes -i 2",
        f"sample_count -i {count}",
    ]
    fields += [f"sample_byte_format -s2 {order}", "sample_sig_bits -i 16", f"sample_coding -s{len(coding)} {coding}"]
    return "\n".join(["NIST_1A", "   1024", *fields, "end_head\n"]).encode().ljust(1024) + data


def shorten(samples: np.ndarray) -> bytes:
    """Shorten's bit stream (T. Robinson, CUED/F-INFENG/TR.156, 1994) of int16 (samples,), without prediction."""
    bits: list[str] = []

    def unsigned(value: int, low: int) -> None:
        bits.append("0" * (value >> low) + "1" + (f"{value & ((1 << low) - 1):0{low}b}" if low else ""))

    def number(value: int) -> None:
        unsigned(value.bit_length(), 2)
        unsigned(value, value.bit_length())

    for value in (5, 1, 256, 0, 0, 0):  # little-endian 16 bit, channels, block size, no LPC, no mean, no skipped bytes
        number(value)
    for start in range(0, len(samples), 256):
        block = samples[start : start + 256]
        if len(block) < 256:
            unsigned(5, 2)  # a new block size
            number(len(block))
        unsigned(0, 2)  # differences of order 0, so the samples themselves
        unsigned(8, 3)
        for value in map(int, block):
            unsigned(value << 1 if value >= 0 else (~value << 1) | 1, 9)
    unsigned(4, 2)  # the end
    stream = "".join(bits)
    stream += "0" * (-len(stream) % 32)
    return b"ajkg\x02" + int(stream, 2).to_bytes(len(stream) // 8, "big")


def wav(data: bytes, stated: int, rate: int = 16000) -> bytes:
    """A 16-bit mono wav file whose header states `stated` bytes of samples."""
    form = struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16)
    return (
        b"RIFF"
        + struct.pack("<I", min(stated + 36, 2**32 - 1))
        + b"WAVEfmt "
        + form
        + b"data"
        + struct.pack("<I", stated)
        + data
    )


def shift(heard: np.ndarray, said: np.ndarray) -> int:
    """By how many samples `heard` comes after `said`."""
    middle = said[2000:-2000]
    return int(np.argmax(np.correlate(heard, middle, "valid"))) - 2000


# What is written is what is read.


@settings(deadline=None, max_examples=60)
@given(
    subtype=st.sampled_from(sorted(PRECISION)),
    rate=st.sampled_from(RATES),
    channels=st.integers(1, 4),
    samples=st.integers(500, 3000),
    seed=st.integers(0, 9),
)
def test_round_trip_at_any_depth_rate_and_channels(
    folder: Path, subtype: str, rate: int, channels: int, samples: int, seed: int
) -> None:
    path, written = folder / "round.wav", noise(samples, channels, seed)
    soundfile.write(path, written, rate, subtype=subtype)
    known = audio.info(path)
    assert (known.sampling_rate, known.channels, known.samples) == (rate, channels, samples)
    mixed, read_rate = audio.load(path)
    assert read_rate == rate and mixed.dtype == np.float32 and mixed.shape == (samples,)
    np.testing.assert_allclose(mixed, written.mean(axis=1), atol=PRECISION[subtype])
    for index in range(channels):
        np.testing.assert_allclose(audio.load(path, channel=index)[0], written[:, index], atol=PRECISION[subtype])


@settings(deadline=None, max_examples=40)
@given(
    rate=st.sampled_from(RATES),
    wanted=st.sampled_from([None, 8000, 16000, 44100, 12345]),
    seconds=st.floats(0.003, 3),
    channel=st.sampled_from(["mix", 0, 1]),
)
def test_blocks_joined_equal_load(
    folder: Path, rate: int, wanted: int | None, seconds: float, channel: int | str
) -> None:
    path = folder / f"blocks{rate}.wav"
    if not path.exists():
        soundfile.write(path, noise(rate * 2 + 17, 2), rate)
    whole, out_rate = audio.load(path, wanted, channel)
    blocks = list(audio.blocks(path, seconds, wanted, channel))
    size = int(np.floor(seconds * out_rate + 0.5))
    assert all(len(block) == size for block in blocks[:-1]) and 0 < len(blocks[-1]) <= size
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-6)


@settings(deadline=None, max_examples=60)
@given(
    rate=st.sampled_from(RATES),
    wanted=st.sampled_from([None, 8000, 16000, 44100, 12345]),
    start=st.floats(0, 2.9),
    duration=st.floats(0.001, 4),
)
def test_a_clip_equals_the_same_samples_of_the_whole(
    folder: Path, rate: int, wanted: int | None, start: float, duration: float
) -> None:
    path = folder / f"clip{rate}.wav"
    if not path.exists():
        soundfile.write(path, noise(rate * 3), rate)
    whole, out_rate = audio.load(path, wanted)
    first, count = int(np.floor(start * out_rate + 0.5)), int(np.floor(duration * out_rate + 0.5))
    assume(count > 0)
    clip, _ = audio.load(path, wanted, start=start, duration=duration)
    assert len(clip) == min(count, len(whole) - first)
    np.testing.assert_allclose(clip, whole[first : first + count], atol=1e-5)


def test_resampling_keeps_a_tone(tmp_path: Path) -> None:
    soundfile.write(
        tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 1000 * np.arange(44100) / 44100), 44100, subtype="FLOAT"
    )
    heard, rate = audio.load(tmp_path / "a.wav", 16000)
    assert rate == 16000 and len(heard) == 16000
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    np.testing.assert_allclose(heard[500:-500], tone[500:-500], atol=1e-4)


SNDFILE = [
    ("a.flac", "FLAC", "PCM_24", 16000),
    ("a.ogg", "OGG", "VORBIS", 22050),
    ("a.opus", "OGG", "OPUS", 16000),
    ("a.mp3", "MP3", "MPEG_LAYER_III", 44100),
    ("a.aiff", "AIFF", "PCM_16", 11025),
    ("a.au", "AU", "ULAW", 8000),
    ("a.caf", "CAF", "PCM_16", 48000),
    ("a.w64", "W64", "PCM_16", 16000),
    ("a.sph", "NIST", "PCM_16", 16000),
]


@pytest.mark.parametrize(("name", "kind", "subtype", "rate"), SNDFILE)
def test_formats_of_libsndfile(tmp_path: Path, name: str, kind: str, subtype: str, rate: int) -> None:
    path, said = tmp_path / name, speech(2 * rate + 7, rate)
    soundfile.write(path, said, rate, format=kind, subtype=subtype)
    heard, heard_rate = audio.load(path)
    known = audio.info(path)
    assert (known.sampling_rate, known.samples) == (heard_rate, len(heard)) == (rate, len(said))
    assert shift(heard, said) == 0 and np.corrcoef(heard, said)[0, 1] > 0.98
    clip, _ = audio.load(path, start=1, duration=0.5)
    np.testing.assert_allclose(clip, heard[rate : rate + len(clip)], atol=1e-6)


FFMPEG = [
    ("a.m4a", "aac", 16000, 0),
    ("a.mp4", "aac", 44100, 0),
    ("a.webm", "libopus", 48000, 0),
    ("a.mka", "flac", 16000, 0),
    ("a.aac", "aac", 22050, 1024),  # a bare stream does not say how long its encoder took to start
]


@pytest.mark.parametrize(("name", "codec", "rate", "late"), FFMPEG)
def test_formats_of_ffmpeg(tmp_path: Path, name: str, codec: str, rate: int, late: int) -> None:
    said = speech(2 * rate + 7, rate)
    path = encode(tmp_path / name, codec, np.stack([said, said / 2], 1), rate)
    left, heard_rate = audio.load(path, channel=0)
    known = audio.info(path)
    assert known.sampling_rate == heard_rate == rate and known.channels == 2
    tolerance = 0.02 if name in ("a.webm", "a.mka") else 0
    assert abs(known.duration - len(left) / rate) <= tolerance
    assert abs(len(left) - len(said)) <= 2048
    assert shift(left, said) == late and np.corrcoef(left[late:][: len(said)], said[: len(left) - late])[0, 1] > 0.98
    np.testing.assert_allclose(np.concatenate(list(audio.blocks(path, 0.3, channel=0))), left, atol=1e-6)
    np.testing.assert_allclose(audio.load(path, start=1.1, channel=0)[0], left[round(1.1 * rate) :], atol=1e-6)
    mixed, _ = audio.load(path)
    assert np.dot(mixed, left) / np.dot(left, left) == pytest.approx(0.75, abs=0.03)


@pytest.mark.parametrize(("order", "kind"), [("01", "<i2"), ("10", ">i2")])
def test_sphere_by_hand(tmp_path: Path, order: str, kind: str) -> None:
    said = (noise(4000, 2) * 32768).astype(np.int16)
    path = tmp_path / "a.sph"
    path.write_bytes(sphere(said.astype(kind).tobytes(), 4000, channels=2, order=order))
    assert audio.info(path).channels == 2
    np.testing.assert_array_equal(audio.load(path, channel=1)[0], said[:, 1] / np.float32(32768))


def test_sphere_with_shorten_inside_is_read(tmp_path: Path) -> None:
    said = (speech(5000, 16000) * 32768).astype(np.int16)
    path = tmp_path / "a.wv1"
    path.write_bytes(sphere(shorten(said), len(said), coding="pcm,embedded-shorten-v2.00"))
    np.testing.assert_array_equal(audio.load(path)[0], said / np.float32(32768))
    assert audio.info(path).samples == len(said)


@pytest.mark.parametrize("name", ["a.mp3", "a.raw", "a.gsm", "a.txt", "a"])
def test_the_content_decides_not_the_suffix(tmp_path: Path, name: str) -> None:
    said = noise(2000)
    soundfile.write(tmp_path / name, said, 16000, format="WAV", subtype="FLOAT")
    np.testing.assert_array_equal(audio.load(tmp_path / name)[0], said[:, 0])


def test_an_mp4_named_wav_is_read(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.m4a", "aac", speech(16000, 16000)[:, None], 16000).rename(tmp_path / "a.wav")
    assert len(audio.load(path)[0]) == audio.info(path).samples


@pytest.mark.parametrize("stated", [0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_a_wav_header_that_states_no_length(tmp_path: Path, stated: int) -> None:
    """As recorders leave it that write to a pipe or crash."""
    said = (noise(16000) * 32768).astype("<i2")
    (tmp_path / "a.wav").write_bytes(wav(said.tobytes(), stated))
    np.testing.assert_array_equal(audio.load(tmp_path / "a.wav")[0], said[:, 0] / np.float32(32768))
    assert audio.info(tmp_path / "a.wav").samples == 16000


def test_a_flac_header_that_states_no_length(tmp_path: Path) -> None:
    path, said = tmp_path / "a.flac", noise(16000)
    soundfile.write(path, said, 16000)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # the 36 bits of STREAMINFO that count samples
    content[22:26] = bytes(4)
    path.write_bytes(content)
    np.testing.assert_allclose(audio.load(path)[0], said[:, 0], atol=2**-15)
    assert audio.info(path).samples == 16000


def test_an_mp3_without_a_length_is_read_to_its_end(tmp_path: Path) -> None:
    """libsndfile takes the bit rate of the first frame for all, and stops where that would end."""
    path = tmp_path / "a.mp3"
    said = np.concatenate([np.zeros(44100, np.float32), noise(44100 * 4)[:, 0]])
    soundfile.write(path, said, 44100)
    content = path.read_bytes()
    path.write_bytes(content[content.index(content[:2], content.index(b"Xing")) :])
    heard, _ = audio.load(path)
    assert len(said) <= len(heard) <= len(said) + 3 * 1152 and np.abs(heard[-44100:-4000]).max() > 0.5
    assert audio.info(path).samples == len(heard)


def test_length_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 8000, 1) as file:
        for _ in range(20):
            file.write(np.zeros(30 * 8000, np.int16))
    tracemalloc.start()
    samples = sum(len(block) for block in audio.blocks(path, 5, 16000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert samples == 600 * 16000  # 38 MB
    assert peak < 6e6


def test_an4_is_read_at_its_own_rate(shared: Path) -> None:
    files = [f"{shared}/an4/wav/an4_clstk/fash/*.opus", shared / "an4/wav/an4test_clstk"]
    for path in audio.find(files)[:40]:
        known = audio.info(path)
        samples, rate = audio.load(path)
        assert (
            (known.sampling_rate, known.samples, known.channels) == (rate, len(samples), 1) == (16000, len(samples), 1)
        )
        assert not audio.is_silent(samples)


# Each kind of bad input has its own sentence.


def written(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


def samples(values: np.ndarray) -> Callable[[Path], None]:
    return lambda path: soundfile.write(path, values, 16000, format="WAV", subtype="FLOAT")


def spoilt(value: float) -> np.ndarray:
    values = noise(16000)
    values[4000] = value
    return values


BAD = [
    ("gone.wav", lambda path: None, "does not exist"),
    ("folder.wav", lambda path: path.mkdir(), "is a folder"),
    ("pipe.wav", lambda path: os.mkfifo(path), "is no regular file"),
    ("empty.wav", written(b""), r"is empty \(0 bytes\)"),
    ("text.wav", written("Straße, café\n".encode() * 400), "holds text, not audio"),
    ("text16.wav", written(("hello\n" * 400).encode("utf-16")), "holds text, not audio"),
    ("list.m4a", written(b"#EXTM3U\n#EXTINF:5,\n/etc/passwd\n#EXT-X-ENDLIST\n"), "holds text, not audio"),
    ("picture.mp3", written(b"\x89PNG\r\n\x1a\n" + bytes(100)), "holds no sound track"),
    ("zeros.wav", written(bytes(9000)), "holds no audio"),
    ("header.wav", written(wav(b"", 0)[:20]), "holds no audio"),
    ("zero.wav", samples(np.zeros(0)), "holds no samples"),
    ("one.wav", samples(np.zeros(1)), "holds only 1 sample at 16000 Hz, too short to hold speech"),
    ("short.wav", samples(np.zeros(159)), "holds only 159 samples at 16000 Hz, too short to hold speech"),
    ("nan.wav", samples(spoilt(np.nan)), r"holds NaN or infinite samples \(the first at 0.250 s\)"),
    ("inf.wav", samples(spoilt(-np.inf)), r"holds NaN or infinite samples \(the first at 0.250 s\)"),
    ("packed.sph", written(sphere(bytes(4000), 2000, coding="ulaw,embedded-shorten-v2.00")), "sph2pipe -f wav"),
]


@pytest.mark.parametrize(("name", "make", "sentence"), BAD, ids=[name for name, _, _ in BAD])
def test_bad_input_is_told_in_one_sentence(
    tmp_path: Path, name: str, make: Callable[[Path], None], sentence: str
) -> None:
    path = tmp_path / name
    make(path)
    for read in (lambda: audio.load(path), lambda: audio.load(path, 8000), lambda: list(audio.blocks(path, 1))):
        with pytest.raises(AudioError, match=sentence) as caught:
            read()
        assert str(caught.value).startswith(str(path)) and str(caught.value).endswith(".")
        assert "\n" not in str(caught.value)
    if name not in ("nan.wav", "inf.wav"):  # these take more than the header to know
        with pytest.raises(AudioError, match=sentence):
            audio.info(path)


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_permission_denied(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(2000), 16000)
    path.chmod(0)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(65534)  # nobody; root may read everything
        with pytest.raises(AudioError, match="cannot be opened: permission denied"):
            audio.load(path)
    finally:
        if root:
            os.seteuid(0)


TRUNCATED = [
    *SNDFILE,
    ("a.wav", "WAV", "PCM_16", 16000),
    ("b.wav", "WAV", "IMA_ADPCM", 16000),
    ("a.rf64", "RF64", "PCM_16", 16000),
]


@pytest.mark.parametrize(("name", "kind", "subtype", "rate"), TRUNCATED)
def test_a_truncated_file_says_where_it_breaks_off(
    tmp_path: Path, name: str, kind: str, subtype: str, rate: int
) -> None:
    path, said = tmp_path / name, speech(10 * rate, rate)
    with soundfile.SoundFile(path, "w", rate, 1, subtype, format=kind) as file:
        for second in said.reshape(10, rate):
            file.write(second)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    of = ":" if kind == "OGG" else r" of 10\.0\d s:"  # Ogg states no length, but breaks off within a page
    for read in (lambda: audio.load(path), lambda: list(audio.blocks(path, 0.5, 8000))):
        with pytest.raises(AudioError, match=rf"breaks off at [4-6]\.\d\d s{of} it is truncated or damaged"):
            read()


@pytest.mark.parametrize(
    ("name", "codec", "options"), [("a.mp4", "aac", {"movflags": "faststart"}), ("a.webm", "libopus", {})]
)
def test_a_truncated_container_says_where_it_breaks_off(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    path = encode(tmp_path / name, codec, speech(480000, 48000)[:, None], 48000, **options)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(AudioError, match=r"breaks off at [56]\.\d\d s of 10\.0\d s:"):
        audio.load(path)
    assert len(audio.load(path, duration=3)[0]) == 3 * 48000  # what is there can still be asked for


def test_an_mp4_without_its_index(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.m4a", "aac", speech(48000, 16000)[:, None], 16000)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(AudioError, match="is truncated: the index of the recording is missing"):
        audio.load(path)


def test_channels_and_clips_that_are_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(16000, 2), 16000)
    for channel in (2, -1, "left"):
        with pytest.raises(AudioError, match=f"no channel {channel}; choose channel=mix or a number from 0 to 1"):
            audio.load(path, channel=channel)
    for start in (1.0, 7.5):
        with pytest.raises(AudioError, match=f"ends at 1.00 s, before the clip that starts at {start:.2f} s"):
            audio.load(path, start=start)
    for clip in ({"start": -0.1}, {"start": float("nan")}, {"duration": 0.0}, {"duration": float("inf")}):
        with pytest.raises(AudioError, match="give a start >= 0 and a duration > 0"):
            audio.load(path, **clip)
    with pytest.raises(AudioError, match="sampling rate must be positive, not 0"):
        audio.load(path, 0)
    with pytest.raises(AudioError, match=r"Blocks of 0\.0 s hold no sample"):
        list(audio.blocks(path, 0.0))


def test_a_start_beyond_a_recording_that_states_no_length(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.aac", "aac", speech(16000, 16000)[:, None], 16000)
    with pytest.raises(AudioError, match=r"before the clip that starts at 5\.00 s"):
        audio.load(path, start=5)


def test_silence_is_audio(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(16000), 16000)
    silence, _ = audio.load(tmp_path / "a.wav", 8000)
    assert not silence.any() and len(silence) == 8000


def test_is_silent() -> None:
    dither = np.random.default_rng(0).choice([-1, 0, 1], 16000).astype(np.float32) / 32768
    assert audio.is_silent(np.zeros(16000, np.float32)) and audio.is_silent(np.zeros(0, np.float32))
    assert audio.is_silent(dither) and audio.is_silent(dither + 0.25)
    assert not audio.is_silent(dither * 4) and not audio.is_silent(noise(100)[:, 0])


# Writing.


@pytest.mark.parametrize("name", ["a.wav", "b.FLAC"])
def test_save_clips_and_rounds_to_16_bits(tmp_path: Path, name: str) -> None:
    made = np.concatenate([noise(2000)[:, 0], np.array([2.0, -2.0], np.float32)])
    audio.save(tmp_path / "new" / name, made, 22050)
    read, rate = audio.load(tmp_path / "new" / name)
    assert rate == 22050 and soundfile.info(tmp_path / "new" / name).subtype == "PCM_16"
    np.testing.assert_allclose(read, made.clip(-1, 1), atol=2**-15)


def test_save_refuses_what_it_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"a\.mp3: only \.wav and \.flac"):
        audio.save(tmp_path / "a.mp3", noise(100)[:, 0], 16000)
    with pytest.raises(AudioError, match="NaN or infinite"):
        audio.save(tmp_path / "a.wav", np.array([0.0, np.nan]), 16000)
    with pytest.raises(ValueError, match="shape"):
        audio.save(tmp_path / "a.wav", noise(100, 2), 16000)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="Cannot write"):
        audio.save(tmp_path / "file" / "a.wav", noise(100)[:, 0], 16000)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# Finding.


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b.wav", "a.FLAC", "notes.txt", "._b.wav", ".git/c.wav", "deep/er/c.m4a", "deep/d[1].ogg", "odd.bin"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_find_searches_folders_files_and_globs(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = [tree / name for name in ("a.FLAC", "b.wav", "deep/d[1].ogg", "deep/er/c.m4a")]
    assert audio.find([tree]) == audio.find(tree) == audio.find([f"{tree}/**/*", tree, tree / "b.wav"]) == everything
    assert audio.find(f"{tree}/*") == everything
    assert audio.find(f"{tree}/*.*") == everything[:2]
    assert audio.find([tree / "odd.bin", f"{tree}/deep/d[1].ogg"]) == [tree / "deep/d[1].ogg", tree / "odd.bin"]
    monkeypatch.chdir(tree)
    assert audio.find(["b.wav", "./b.wav", "deep/../b.wav", tree / "b.wav"]) == [Path("b.wav")]
    monkeypatch.setenv("HOME", str(tree))
    assert audio.find("~/b.wav") == [tree / "b.wav"]


def test_find_follows_links_but_not_in_circles(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "e.wav").touch()
    (tree / "deep" / "linked").symlink_to(elsewhere)
    (tree / "deep" / "up").symlink_to(tree)
    assert [path.name for path in audio.find(tree)] == ["a.FLAC", "b.wav", "d[1].ogg", "c.m4a", "e.wav"]


def test_find_says_what_holds_no_audio(tree: Path) -> None:
    (tree / "none").mkdir()
    for name, sentence in [
        ("gone.wav", "does not exist"),
        ("none", "holds no audio"),
        ("*.doc", "Nothing matches"),
        ("*.txt", "holds no audio"),
    ]:
        with pytest.raises(UserError, match=sentence) as caught:
            audio.find([tree, f"{tree}/{name}"])
        assert f"{tree}/{name}" in str(caught.value)
