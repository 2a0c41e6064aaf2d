"""Every format that is read, and every file that is not: written here byte by byte where no library writes it."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from speechrnn.audio import audio_blocks, audio_info, load_audio
from speechrnn.audio.io import AudioError, TruncatedAudioError


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
        assert isinstance(stream, av.AudioStream)
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
    heard, heard_rate = load_audio(path)
    known = audio_info(path)
    assert (known.sampling_rate, known.samples) == (heard_rate, len(heard)) == (rate, len(said))
    assert shift(heard, said) == 0 and np.corrcoef(heard, said)[0, 1] > 0.98
    clip, _ = load_audio(path, start=1, duration=0.5)
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
    left, heard_rate = load_audio(path, channel=0)
    known = audio_info(path)
    assert known.sampling_rate == heard_rate == rate and known.channels == 2
    tolerance = 0.02 if name in ("a.webm", "a.mka") else 0
    assert abs(known.duration - len(left) / rate) <= tolerance
    assert abs(len(left) - len(said)) <= 2048
    assert shift(left, said) == late and np.corrcoef(left[late:][: len(said)], said[: len(left) - late])[0, 1] > 0.98
    np.testing.assert_allclose(np.concatenate(list(audio_blocks(path, 0.3, channel=0))), left, atol=1e-6)
    np.testing.assert_allclose(load_audio(path, start=1.1, channel=0)[0], left[round(1.1 * rate) :], atol=1e-6)
    mixed, _ = load_audio(path)
    assert np.dot(mixed, left) / np.dot(left, left) == pytest.approx(0.75, abs=0.03)


@pytest.mark.parametrize(("order", "kind"), [("01", "<i2"), ("10", ">i2")])
def test_sphere_by_hand(tmp_path: Path, order: str, kind: str) -> None:
    said = (noise(4000, 2) * 32768).astype(np.int16)
    path = tmp_path / "a.sph"
    path.write_bytes(sphere(said.astype(kind).tobytes(), 4000, channels=2, order=order))
    assert audio_info(path).channels == 2
    np.testing.assert_array_equal(load_audio(path, channel=1)[0], said[:, 1] / np.float32(32768))


def test_sphere_with_shorten_inside_is_read(tmp_path: Path) -> None:
    said = (speech(5000, 16000) * 32768).astype(np.int16)
    path = tmp_path / "a.wv1"
    path.write_bytes(sphere(shorten(said), len(said), coding="pcm,embedded-shorten-v2.00"))
    np.testing.assert_array_equal(load_audio(path)[0], said / np.float32(32768))
    assert audio_info(path).samples == len(said)


@pytest.mark.parametrize("name", ["a.mp3", "a.raw", "a.gsm", "a.txt", "a"])
def test_the_content_decides_not_the_suffix(tmp_path: Path, name: str) -> None:
    said = noise(2000)
    soundfile.write(tmp_path / name, said, 16000, format="WAV", subtype="FLOAT")
    np.testing.assert_array_equal(load_audio(tmp_path / name)[0], said[:, 0])


def test_an_mp4_named_wav_is_read(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.m4a", "aac", speech(16000, 16000)[:, None], 16000).rename(tmp_path / "a.wav")
    assert len(load_audio(path)[0]) == audio_info(path).samples


@pytest.mark.parametrize("stated", [0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_a_wav_header_that_states_no_length(tmp_path: Path, stated: int) -> None:
    """As recorders leave it that write to a pipe or crash."""
    said = (noise(16000) * 32768).astype("<i2")
    (tmp_path / "a.wav").write_bytes(wav(said.tobytes(), stated))
    np.testing.assert_array_equal(load_audio(tmp_path / "a.wav")[0], said[:, 0] / np.float32(32768))
    assert audio_info(tmp_path / "a.wav").samples == 16000


def test_a_flac_header_that_states_no_length(tmp_path: Path) -> None:
    path, said = tmp_path / "a.flac", noise(16000)
    soundfile.write(path, said, 16000)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # the 36 bits of STREAMINFO that count samples
    content[22:26] = bytes(4)
    path.write_bytes(content)
    np.testing.assert_allclose(load_audio(path)[0], said[:, 0], atol=2**-15)
    assert audio_info(path).samples == 16000


def test_an_mp3_in_pieces_is_the_whole_to_the_bit(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its frames need what is left of the last ones, which a seek throws away (and the decoder complains on stderr)."""
    path = tmp_path / "talk.mp3"
    soundfile.write(path, speech(40 * 16000, 16000), 16000, format="MP3")
    whole = soundfile.read(path, dtype="float32")[0]
    assert np.array_equal(np.concatenate(list(audio_blocks(path, 3.0))), whole)
    assert capfd.readouterr().err == ""


def test_an_mp3_without_a_length_is_read_to_its_end(tmp_path: Path) -> None:
    """libsndfile takes the bit rate of the first frame for all, and stops where that would end."""
    path = tmp_path / "a.mp3"
    said = np.concatenate([np.zeros(44100, np.float32), noise(44100 * 4)[:, 0]])
    soundfile.write(path, said, 44100)
    content = path.read_bytes()
    path.write_bytes(content[content.index(content[:2], content.index(b"Xing")) :])
    heard, _ = load_audio(path)
    assert len(said) <= len(heard) <= len(said) + 3 * 1152 and np.abs(heard[-44100:-4000]).max() > 0.5
    assert audio_info(path).samples == len(heard)


# Each kind of bad input has its own sentence.


def written(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


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
    for read in (lambda: load_audio(path), lambda: load_audio(path, 8000), lambda: list(audio_blocks(path, 1))):
        with pytest.raises(AudioError, match=sentence) as caught:
            read()
        assert str(caught.value).startswith(str(path)) and str(caught.value).endswith(".")
        assert "\n" not in str(caught.value)
    if name not in ("nan.wav", "inf.wav"):  # these take more than the header to know
        with pytest.raises(AudioError, match=sentence):
            audio_info(path)


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
            load_audio(path)
    finally:
        if root:
            os.seteuid(0)


TRUNCATED = [
    *(case for case in SNDFILE if case[0] != "a.caf"),  # libsndfile refuses it, and FFmpeg reads what is there
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
    for read in (lambda: load_audio(path), lambda: list(audio_blocks(path, 0.5, 8000))):
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
        load_audio(path)
    assert len(load_audio(path, duration=3)[0]) == 3 * 48000  # what is there can still be asked for


def test_an_mp4_without_its_index(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.m4a", "aac", speech(48000, 16000)[:, None], 16000)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(AudioError, match="is truncated: the index of the recording is missing"):
        load_audio(path)


def test_a_start_beyond_a_recording_that_states_no_length(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.aac", "aac", speech(16000, 16000)[:, None], 16000)
    with pytest.raises(AudioError, match=r"before the clip that starts at 5\.00 s"):
        load_audio(path, start=5)


# What is readable of a file that is not whole comes first, the sentence after it.

LEFT = [
    ("a.wav", "WAV", "PCM_16"),
    ("a.flac", "FLAC", "PCM_16"),
    ("a.mp3", "MP3", "MPEG_LAYER_III"),
    ("a.ogg", "OGG", "VORBIS"),
    ("a.opus", "OGG", "OPUS"),
    ("a.m4a", "aac", ""),
    ("a.webm", "libopus", ""),
]


@pytest.mark.parametrize("wanted", [None, 8000])
@pytest.mark.parametrize(("name", "kind", "subtype"), LEFT)
def test_what_is_readable_comes_first(tmp_path: Path, name: str, kind: str, subtype: str, wanted: int | None) -> None:
    path, rate = tmp_path / name, 48000
    said = speech(10 * rate, rate)
    if subtype:
        with soundfile.SoundFile(path, "w", rate, 1, subtype, format=kind) as file:
            for second in said.reshape(10, rate):
                file.write(second)
    else:
        encode(path, kind, said[:, None], rate, **({"movflags": "faststart"} if name == "a.m4a" else {}))
    whole, out_rate = load_audio(path, wanted)
    assert np.array_equal(
        np.concatenate(list(audio_blocks(path, 0.7, wanted, strict=False))), whole
    )  # nothing to complain of

    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    blocks: list[np.ndarray] = []
    with pytest.raises(TruncatedAudioError, match=r"breaks off at [456]\.\d\d s") as caught:
        for block in audio_blocks(path, 0.7, wanted, strict=False):
            blocks.append(block)
    heard = np.concatenate(blocks)
    assert 4 < caught.value.seconds < 7 and str(caught.value).endswith("repaired.wav.")
    assert len(heard) == pytest.approx(caught.value.seconds * out_rate, abs=2)
    assert {len(block) for block in blocks[:-1]} == {round(0.7 * out_rate)}
    edge = round(0.05 * out_rate)  # the resampling filter and the last packet
    np.testing.assert_allclose(heard[:-edge], whole[: len(heard) - edge], atol=1e-4)
    known = audio_info(path, strict=False)
    assert known.sampling_rate == rate
    assert known.duration == pytest.approx(caught.value.seconds if kind == "OGG" else 10, abs=0.05)


@pytest.mark.parametrize(("name", "kind"), [("a.flac", "FLAC"), ("a.mp3", "MP3")])
def test_readable_up_to_a_hole(tmp_path: Path, name: str, kind: str) -> None:
    path, said = tmp_path / name, speech(160000, 16000)
    soundfile.write(path, said, 16000, format=kind)
    whole, _ = load_audio(path)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = b"\xa5" * 3000
    path.write_bytes(content)
    blocks: list[np.ndarray] = []
    with pytest.raises(TruncatedAudioError, match=r"breaks off at [45]\.\d\d s of 10\.0") as caught:
        for block in audio_blocks(path, 1.0, strict=False):
            blocks.append(block)
    heard = np.concatenate(blocks)
    assert len(heard) == round(caught.value.seconds * 16000) > 4 * 16000
    np.testing.assert_allclose(heard[:-1500], whole[: len(heard) - 1500], atol=1e-4)
    with pytest.raises(TruncatedAudioError):
        load_audio(path)
