"""Sound that is missing is reported, in the formats whose readers leave it out in silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers.recordings import encode, speech
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.audio import audio_blocks
from speechrnn.audio.completeness import is_incomplete
from speechrnn.audio.io import TruncatedAudioError

RATE = 16000
SNDFILE = {
    "a.ogg": ("OGG", "VORBIS"),
    "a.opus": ("OGG", "OPUS"),
    "a.caf": ("CAF", "PCM_16"),
    "b.caf": ("CAF", "ULAW"),
    "a.voc": ("VOC", "PCM_16"),
}
FFMPEG = {"a.oga": "flac", "g722.wav": "g722", "yamaha.wav": "adpcm_yamaha", "a.webm": "libopus", "a.mka": "aac"}
FFMPEG |= {"a.flv": "aac", "a.ts": "mp2", "a.avi": "pcm_s16le"}
ALL = [*SNDFILE, *FFMPEG]
PAGED = ["a.ogg", "a.opus", "a.oga", "a.webm", "a.mka"]  # of which a reader skips what is damaged


def written(folder: Path, name: str) -> Path:
    """Write three seconds."""
    path, sound = folder / name, speech(3 * RATE, RATE)
    if name in SNDFILE:
        soundfile.write(path, sound, RATE, format=SNDFILE[name][0], subtype=SNDFILE[name][1])
        return path
    rate = 48000 if name == "a.webm" else RATE
    return encode(path, FFMPEG[name], speech(3 * rate, rate)[:, None], rate=rate)


def reports(path: Path) -> bool:
    """Return whether reading a file says that it is not whole, after what can be read."""
    try:
        for _ in audio_blocks(path, 1.0, strict=False):
            pass
    except TruncatedAudioError:
        return True
    return False


@pytest.mark.parametrize("name", ALL)
def test_a_whole_file_is_whole(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name)
    assert not is_incomplete(path) and not reports(path)


@pytest.mark.parametrize("part", [0.5, 0.83])
@pytest.mark.parametrize("name", ALL)
def test_a_file_that_breaks_off_is_reported(tmp_path: Path, name: str, part: float) -> None:
    path = written(tmp_path, name)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content)) | 1])
    assert reports(path)


@pytest.mark.parametrize("name", PAGED)
@pytest.mark.parametrize(("start", "end"), [(0.4, 0.7), (0.5, 1.0)])
def test_zeros_within_a_file_are_reported(tmp_path: Path, name: str, start: float, end: float) -> None:
    """A power cut leaves them, and a download by several connections."""
    path = written(tmp_path, name)
    content = bytearray(path.read_bytes())
    first, last = int(start * len(content)), int(end * len(content))
    content[first:last] = bytes(last - first)
    path.write_bytes(content)
    assert reports(path)


@given(st.data())
def test_any_flipped_bit_in_an_ogg_file_is_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = written(tmp_path_factory.mktemp("ogg"), "a.ogg")
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    assert is_incomplete(path) or not content.startswith(b"OggS")


def test_what_follows_the_last_page_and_chains_of_files_are_no_damage(tmp_path: Path) -> None:
    path = written(tmp_path, "a.ogg")
    content = path.read_bytes()
    for more in (b"TAG" + bytes(125), content):
        path.write_bytes(content + more)
        assert not is_incomplete(path)


@pytest.mark.parametrize("name", ["g722.wav", "a.avi"])
def test_a_length_that_a_pipe_leaves_unknown_is_no_damage(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name)
    content = bytearray(path.read_bytes())
    content[4:8] = b"\xff" * 4
    path.write_bytes(content)
    assert not is_incomplete(path)


@pytest.mark.parametrize(
    "head", [b"", b"OggS", b"caff", b"Creative Voice File\x1a", b"RIFF", b"FLV\x01", b"\x1a\x45\xdf\xa3"]
)
@pytest.mark.parametrize("size", [0, 30, 5000])
def test_a_head_alone_is_read_without_an_exception(tmp_path: Path, head: bytes, size: int) -> None:
    path = tmp_path / "a"
    for rest in (bytes(size), b"\xff" * size, bytes(np.random.default_rng(0).bytes(size))):
        path.write_bytes(head + rest)
        is_incomplete(path)
