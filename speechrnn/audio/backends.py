"""What opens a recording: libsndfile where it can, FFmpeg for the rest. `audio.py` is the door for everybody else.

A reader gives `rate` (Hz), `channels`, `frames` (the length that the header states, None where it states none or one
that cannot be trusted), `read(n)` and `skip(n)`, and says in `broken` whether the recording ended before it should: a
read gives what is there first. The content of a file decides who reads it, never its suffix.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import itertools
import re
import stat
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from speechrnn.core.errors import UserError

if TYPE_CHECKING:
    import av

PIECE = 1 << 17  # samples read at a time: the memory that reading takes
SLACK = 0.1  # seconds by which the length in a header may err without the file being truncated

_HEAD = 4096  # bytes that tell what a file is
_UNKNOWN = 0x7FFF0000  # bytes; recorders that write to a pipe put lengths from here on into the header
_EXACT_HEADERS = ("mov,mp4,m4a,3gp,3g2,mj2", "nistsphere")  # FFmpeg's names; their lengths count in samples
_COPY = "copy or download it again"


class AudioError(UserError):
    """A recording that cannot be read: one sentence with its path, the reason and what to do."""


class TruncatedAudioError(AudioError):
    """A recording that ends before it should.

    Attributes:
        seconds: how much of it there is, or was read.
    """

    def __init__(self, sentence: str, seconds: float) -> None:
        super().__init__(sentence, seconds)  # both, as pickle makes it from its arguments
        self.sentence, self.seconds = sentence, seconds

    def __str__(self) -> str:
        return self.sentence


class _Onwards(soundfile.SoundFile):
    """soundfile seeks after each read to the place where it is, and an mp3 decoder then forgets what the next frame
    needs of the last ones. What is not seekable it leaves alone; `seek` itself works all the same."""

    def seekable(self) -> bool:
        return False


class SndfileReader:
    """What libsndfile opens. It seeks to the sample, with the same result as reading up to there."""

    def __init__(self, path: Path, file: io.FileIO, head: bytes) -> None:
        self.broken = False
        # By descriptor: given a name, libsndfile takes headerless files with some suffixes for telephone codes.
        self._sound = _Onwards(file.fileno(), closefd=False)
        self.path, self.rate, self.channels = path, self._sound.samplerate, self._sound.channels
        self.present = present = self._sound.frames
        self.frames: int | None = present
        # No length in the header (a crashed or live recorder). For an mp3, libsndfile guesses one and stops there.
        if not 0 < present < 1 << 60 or (self._sound.format == "MP3" and not _mp3_states_length(path, head)):
            self.frames = None
            return
        self.frames = max(present, self._promised(present, head))
        self.broken = self.frames > present + SLACK * self.rate or (head.startswith(b"OggS") and _ogg_is_cut(path))

    def _promised(self, present: int, head: bytes) -> int:
        """The length that the header states, where libsndfile keeps only what is `present` (samples)."""
        log = self._sound.extra_info
        if head.startswith(b"NIST_1A") and (sphere := re.search(rb"sample_count -i (\d+)", head)):
            return int(sphere[1])
        if size := re.search(r"(?:data|SSND|Data Size|riff)\s*: (\d+) \(should be (\d+)\)", log):
            stated, real = int(size[1]), max(int(size[2]), 1)
            return present if stated >= _UNKNOWN else round(present * stated / real)
        if rf64 := re.search(r"does not match value from 'ds64' chunk of (\d+)", log):
            return int(rf64[1])
        return present

    def read(self, frames: int) -> np.ndarray:
        """The next `frames` samples, float32 (samples, channels); fewer only at the end."""
        read: np.ndarray = np.full((frames, self.channels), np.nan, np.float32)
        try:
            return self._sound.read(out=read)
        except soundfile.LibsndfileError:
            self.broken = True
            missing = np.isnan(read[:, 0])  # how much was read before, libsndfile does not say
            return read[: int(np.argmax(missing))] if missing.any() else read

    def skip(self, frames: int) -> None:
        """Go on `frames` samples from the beginning."""
        self._sound.seek(frames)

    def close(self) -> None:
        self._sound.close()


class FFmpegReader:
    """What PyAV opens: the best sound track of a container, decoded from its beginning."""

    def __init__(self, path: Path, file: io.FileIO) -> None:
        import av

        self._error = av.error.FFmpegError
        # No playlist inside may make FFmpeg open other files or addresses.
        self._container = av.open(file, "r", metadata_errors="ignore", options={"protocol_whitelist": "file"})
        track = self._container.streams.best("audio")
        if not isinstance(track, av.AudioStream) or track.codec_context is None:
            raise AudioError(f"{path} holds no sound track that can be decoded; convert it to WAV or leave it out.")
        self.path, self.rate, self.channels = path, track.codec_context.sample_rate, track.codec_context.channels
        name, seconds = self._container.format.name, Fraction(0)
        if name in _EXACT_HEADERS and track.duration and track.time_base:
            seconds = track.duration * track.time_base
        elif name == "matroska,webm" and self._container.duration:
            seconds = Fraction(self._container.duration, av.time_base)
        self.frames = round(seconds * self.rate) or None
        # An encoder fills its last packet up; the header says where the recording ended.
        self._end = self.frames if name in _EXACT_HEADERS else None
        self._decoded = self._decode(track)
        self._position = 0
        self.broken = False
        self._rest: np.ndarray = np.empty((0, self.channels), np.float32)

    def _decode(self, track: av.AudioStream) -> Iterator[np.ndarray]:
        import av

        to_float = av.AudioResampler(format="fltp", layout=track.codec_context.layout, rate=self.rate)
        frames: Iterator[Any] = itertools.chain(self._container.decode(track), [None])
        for frame in frames:
            for part in to_float.resample(frame):
                yield part.to_ndarray().T

    def read(self, frames: int) -> np.ndarray:
        """The next `frames` samples, float32 (samples, channels); fewer only at the end."""
        if self._end is not None:
            frames = min(frames, self._end - self._position)
        parts, held = [self._rest], len(self._rest)
        try:
            while held < frames and (part := next(self._decoded, None)) is not None:
                parts.append(part)
                held += len(part)
        except self._error:
            self.broken = True
        joined = np.concatenate(parts)
        self._rest = joined[frames:]
        self._position += min(frames, held)
        return joined[:frames]

    def skip(self, frames: int) -> None:
        """Go on `frames` samples from the beginning."""
        while frames > 0 and (read := len(self.read(min(frames, PIECE)))):
            frames -= read

    def close(self) -> None:
        self._container.close()


Reader = SndfileReader | FFmpegReader


@contextlib.contextmanager
def open_audio(path: str | Path, strict: bool = True) -> Iterator[Reader]:
    """A reader at the first sample of `path`, or AudioError with the reason why there is none.

    Args:
        strict: raise `TruncatedAudioError` at once where the file is seen to hold less than its header states.
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
    with file, contextlib.closing(_reader(path, file, strict)) as reader:
        yield reader


def breaks_off(reader: Reader, frames: int) -> TruncatedAudioError:
    """The error for a recording of which only the first `frames` samples can be read."""
    states_more = reader.frames is not None and reader.frames > frames
    of = f" of {reader.frames / reader.rate:.2f} s" if reader.frames is not None and states_more else ""
    return TruncatedAudioError(
        f"{reader.path} breaks off at {frames / reader.rate:.2f} s{of}: it is truncated or damaged; {_COPY}, "
        f"or keep what is there with ffmpeg -i {reader.path} repaired.wav.",
        frames / reader.rate,
    )


def _reader(path: Path, file: io.FileIO, strict: bool) -> Reader:
    head = file.read(_HEAD)
    if not head:
        raise AudioError(f"{path} is empty (0 bytes); {_COPY}.")
    if _is_text(head):
        raise AudioError(f"{path} holds text, not audio; {_COPY}, or leave it out.")
    file.seek(0)
    with contextlib.suppress(soundfile.LibsndfileError):
        sound = SndfileReader(path, file, head)
        if strict and sound.broken:
            raise breaks_off(sound, sound.present)
        if sound.frames is not None:
            return sound
        sound.close()
    file.seek(0)
    import av

    try:
        return FFmpegReader(path, file)
    except (av.error.FFmpegError, AudioError) as error:
        if head.startswith(b"NIST_1A") and (coding := re.search(rb"sample_coding -s\d+ (\S+)", head)):
            reason = f"is SPHERE audio coded as {coding[1].decode(errors='replace')}; expand it with sph2pipe -f wav"
        elif isinstance(error, AudioError):
            raise
        elif head[4:8] == b"ftyp":
            reason = f"is truncated: the index of the recording is missing; {_COPY}"
        else:
            reason = "holds no audio that libsndfile or FFmpeg can read; convert it to WAV or leave it out"
        raise AudioError(f"{path} {reason}.") from error


def _is_text(head: bytes) -> bool:
    encoding = "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8"
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter.isspace() for letter in text.lstrip("\ufeff"))


def _peek(path: Path, start: int, size: int) -> bytes:
    with path.open("rb") as file:  # a second descriptor, as libsndfile counts on the offset of its own
        file.seek(start)
        return file.read(size)


def _mp3_states_length(path: Path, head: bytes) -> bool:
    """Whether the first frame, behind an ID3 tag if there is one, is a Xing header that counts the frames."""
    start = 0
    if head.startswith(b"ID3"):
        start = 10 + sum((byte & 127) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    xing = re.search(rb"(?:Xing|Info)...(.)", _peek(path, start, 2048), re.DOTALL)
    return xing is not None and bool(xing[1][0] & 1)


def _ogg_is_cut(path: Path) -> bool:
    """Whether an Ogg file ends within a page. (It states no length, and a live recording lacks a last-page mark.)"""
    largest = 1 << 16  # bytes, more than a page can have
    tail = _peek(path, max(0, path.stat().st_size - largest), largest)
    page = tail[tail.rfind(b"OggS\0") :]
    segments = page[27 : 27 + page[26]] if len(page) >= 27 else b""
    return len(page) < 27 or len(page) < 27 + page[26] + sum(segments)
