"""Tests of which library reads a file, of files that none reads, and of files that are not whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers.recordings import encode, noise, speech, sphere, wav

from speechrnn.audio import audio_blocks, audio_info, load_audio
from speechrnn.audio.io import AudioError, TruncatedAudioError


@pytest.mark.parametrize("name", ["a.mp3", "a.raw", "a.gsm", "a.txt", "a"])
def test_the_content_decides_not_the_suffix(tmp_path: Path, name: str) -> None:
    said = noise(2000)
    soundfile.write(tmp_path / name, said, 16000, format="WAV", subtype="FLOAT")
    np.testing.assert_array_equal(load_audio(tmp_path / name)[0], said[:, 0])


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
        options = {"movflags": "faststart"} if name == "a.m4a" else {}
        encode(path, kind, said[:, None], rate=rate, **options)
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
