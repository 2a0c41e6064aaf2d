"""Choice of the reader for a recording: libsndfile where it can, FFmpeg for the rest.

The content of a file decides which library reads it, never its suffix.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import soundfile

from speechrnn.audio.errors import AudioError
from speechrnn.audio.ffmpeg_reader import FFmpegReader
from speechrnn.audio.reader import LENGTH_TOLERANCE, AudioReader, reading_error, truncation_error
from speechrnn.audio.samples import RATES
from speechrnn.audio.sndfile_reader import SndfileReader

__all__ = ["open_audio"]

_HEAD_BYTES = 4096  # bytes at the beginning that show the kind of a file
_MAX_CHUNKS = 1000  # of a WAV file that are looked at


@contextlib.contextmanager
def open_audio(path: str | Path, strict: bool = True) -> Iterator[AudioReader]:
    """Open a recording at its first sample.

    >>> import tempfile
    >>> import numpy as np
    >>> from speechrnn.audio import save_audio
    >>> path = Path(tempfile.mkdtemp()) / "noise.wav"
    >>> save_audio(path, np.full(1600, 0.1, np.float32), 16000)
    >>> with open_audio(path) as reader:
    ...     reader.rate, reader.read(100).shape
    (16000, (100, 1))

    Args:
        path: the file.
        strict: raise `TruncatedAudioError` at once where the file holds less than its header states.

    Raises:
        AudioError: the file cannot be read, with the reason.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
            raise AudioError(f"{path} is {kind}, not a recording; give the path of an audio file.")
        file = path.open("rb", buffering=0)
    except FileNotFoundError as error:
        raise AudioError(f"{path} does not exist; check the path.") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise AudioError(f"{path} cannot be opened: {reason}; make it readable or leave it out.") from error
    except ValueError as error:
        raise AudioError(f"{str(path)!r} cannot be a path: {error}; correct it.") from error
    with file:
        try:
            reader = _reader(path, file, strict)
        except Exception as error:
            raise reading_error(path, error) from error
        with contextlib.closing(reader):
            yield reader


def _reader(path: Path, file: io.FileIO, strict: bool) -> AudioReader:
    head = file.read(_HEAD_BYTES)
    if not head:
        raise AudioError(f"{path} is empty (0 bytes); copy or download it again.")
    if _is_text(head):
        raise AudioError(f"{path} holds text, not audio; copy or download it again, or leave it out.")
    stale = _is_stale_wav(path, head)
    damaged = False
    try:
        sound = SndfileReader(path, file, head)
    except soundfile.LibsndfileError:
        damaged = head.startswith(b"fLaC")
    else:
        _check_rate(path, sound.rate)
        if strict and sound.broken:
            raise truncation_error(sound, sound.present)
        if sound.frames is not None and not stale:
            return sound
        sound.close()
    file.seek(0)
    import av

    try:
        reader = FFmpegReader(path, file, damaged=damaged, read_on=stale)
        _check_rate(path, reader.rate)
        return reader
    except (av.error.FFmpegError, AudioError) as error:
        if head.startswith(b"NIST_1A") and (coding := re.search(rb"sample_coding -s\d+ (\S+)", head)):
            reason = f"is SPHERE audio coded as {coding[1].decode(errors='replace')}; expand it with sph2pipe -f wav"
        elif isinstance(error, AudioError):
            raise
        elif head[4:8] == b"ftyp":
            reason = "is truncated: the index of the recording is missing; copy or download it again"
        else:
            reason = "holds no audio that libsndfile or FFmpeg can read; convert it to WAV or leave it out"
        raise AudioError(f"{path} {reason}.") from error


def _check_rate(path: Path, rate: int) -> None:
    low, high = RATES
    if not low <= rate <= high:
        raise AudioError(
            f"{path} has a sampling rate of {rate} Hz in its header, which must lie between {low} and {high}; "
            "export it again."
        )


def _is_text(head: bytes) -> bool:
    encoding = "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8"
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter.isspace() for letter in text.lstrip("\ufeff"))


def _is_stale_wav(path: Path, head: bytes) -> bool:
    """Return whether a WAV file holds more samples than its header states, as a crashed recorder leaves it.

    What follows the stated samples is then no chunk of a WAV file.
    """
    if not (head.startswith(b"RIFF") and head[8:12] == b"WAVE"):
        return False
    size, position, bytes_per_second = path.stat().st_size, 12, 0
    data_end = None
    with path.open("rb") as file:
        for _ in range(_MAX_CHUNKS):
            file.seek(position)
            header = file.read(8)
            if len(header) < 8:
                break
            name, length = header[:4], int.from_bytes(header[4:], "little")
            if data_end is not None and not (name.isascii() and name.decode("ascii").isprintable()):
                break
            if data_end is not None and position + 8 + length > size + 1:
                break
            if name == b"fmt ":
                bytes_per_second = int.from_bytes(file.read(12)[8:12], "little")
            position += 8 + length + length % 2
            if name == b"data":
                data_end = position
                if length == 0:  # no length at all, which libsndfile understands
                    return False
    if data_end is None or position >= size:
        return False
    return size - position > LENGTH_TOLERANCE * max(bytes_per_second, 1)
