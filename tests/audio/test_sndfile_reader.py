"""Tests of the formats that libsndfile reads, whole, without a length, truncated and damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers.recordings import noise, shift, shorten, speech, sphere, wav

from speechrnn.audio import audio_blocks, audio_info, load_audio
from speechrnn.audio.io import AudioError, TruncatedAudioError

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
