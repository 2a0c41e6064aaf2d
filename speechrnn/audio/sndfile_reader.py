"""Reader of what libsndfile opens: wav, flac, ogg, opus, mp3, SPHERE and similar formats."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import soundfile

from speechrnn.audio.completeness import is_incomplete
from speechrnn.audio.reader import LENGTH_TOLERANCE, AudioReader

_UNKNOWN_LENGTH = 0x7FFF0000  # bytes; recorders that write to a pipe put lengths from here on into the header
_FLAC_PROBE = 1 << 12  # samples that are decoded at opening to see whether the first FLAC frame is damaged
# In other codings (GSM 06.10, G.721, G.723, NMS and XI DPCM) libsndfile cannot seek, though it may claim that it can.
_SEEKABLE = (
    "PCM_S8",
    "PCM_U8",
    "PCM_16",
    "PCM_24",
    "PCM_32",
    "FLOAT",
    "DOUBLE",
    "ULAW",
    "ALAW",
    "VORBIS",
    "OPUS",
    "MPEG_LAYER_I",
    "MPEG_LAYER_II",
    "MPEG_LAYER_III",
    "ALAC_16",
    "ALAC_20",
    "ALAC_24",
    "ALAC_32",
)


class _ForwardSoundFile(soundfile.SoundFile):
    """A file that soundfile does not seek in on its own.

    After each read it seeks to the place where it is, and an mp3 decoder then loses what the next frame needs of the
    last ones. A file that is not seekable it leaves alone; `seek` itself works all the same.
    """

    def seekable(self) -> bool:
        return False


class SndfileReader(AudioReader):
    """A file that libsndfile opens; skipping gives the same samples as reading up to there."""

    def __init__(self, path: Path, file: io.FileIO, head: bytes) -> None:
        """Open a file.

        Args:
            path: its name.
            file: the open file, at its beginning.
            head: its first bytes.

        Raises:
            soundfile.LibsndfileError: libsndfile cannot read it, or not even its first FLAC frame.
        """
        self._file = file
        self._open()
        self.path, self.rate, self.channels = path, self._sound.samplerate, self._sound.channels
        self.present = present = self._sound.frames
        self._probed: np.ndarray = np.empty((0, self.channels), np.float32)
        if self._sound.format == "FLAC":
            self._probed = self._sound.read(_FLAC_PROBE, dtype="float32", always_2d=True)
        # No length in the header (a crashed or live recorder). For an mp3, libsndfile guesses one and stops there.
        if not 0 < present < 1 << 60 or (self._sound.format == "MP3" and not _mp3_states_length(path, head)):
            return
        self.frames = max(present, self._stated_length(present, head))
        missing = self.frames > present + LENGTH_TOLERANCE * self.rate
        # Of other formats, libsndfile's log has the length that is stated.
        self.broken = missing or (head.startswith((b"OggS", b"caff", b"Creative")) and is_incomplete(path))

    def _open(self) -> None:
        # By descriptor: given a name, libsndfile takes headerless files with some suffixes for telephone codes.
        self._file.seek(0)
        self._sound = _ForwardSoundFile(self._file.fileno(), closefd=False)
        if self._sound.format == "MP3":
            self._sound.seek(0)  # its decoder starts otherwise than after a seek

    def _stated_length(self, present: int, head: bytes) -> int:
        """Return the length in samples that the header states, where libsndfile keeps only what is `present`."""
        log = self._sound.extra_info
        if head.startswith(b"NIST_1A") and (sphere := re.search(rb"sample_count -i (\d{1,18})\b", head)):
            return int(sphere[1])
        if size := re.search(r"(?:data|SSND|Data Size|riff)\s*: (\d+) \(should be (\d+)\)", log):
            stated, real = int(size[1]), max(int(size[2]), 1)
            return present if stated >= _UNKNOWN_LENGTH else round(present * stated / real)
        if rf64 := re.search(r"does not match value from 'ds64' chunk of (\d+)", log):
            return int(rf64[1])
        return present

    def _read(self, frames: int) -> np.ndarray:
        probed, self._probed = self._probed[:frames], self._probed[frames:]
        if len(probed) == frames:
            return probed
        read: np.ndarray = np.full((frames - len(probed), self.channels), np.nan, np.float32)
        try:
            read = self._sound.read(out=read)
        except soundfile.LibsndfileError:
            self.broken = True
            missing = np.isnan(read[:, 0])  # how much was read before, libsndfile does not say
            read = read[: int(np.argmax(missing))] if missing.any() else read
        return np.concatenate([probed, read]) if len(probed) else read

    def _skip(self, frames: int) -> None:
        if self._sound.subtype in _SEEKABLE:
            try:
                self._sound.seek(frames)
            except soundfile.LibsndfileError:  # a damaged FLAC frame on the way
                self._open()
            else:
                self._probed = self._probed[:0]
                return
            self._probed = self._probed[:0]
        super()._skip(frames)

    def close(self) -> None:
        """Release the decoder."""
        self._sound.close()


def _peek(path: Path, start: int, size: int) -> bytes:
    with path.open("rb") as file:  # a second descriptor, since libsndfile relies on the offset of its own
        file.seek(start)
        return file.read(size)


def _mp3_states_length(path: Path, head: bytes) -> bool:
    """Return whether the first frame, behind an ID3 tag if there is one, is a Xing header that counts the frames."""
    start = 0
    if head.startswith(b"ID3"):
        start = 10 + sum((byte & 127) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    xing = re.search(rb"(?:Xing|Info)...(.)", _peek(path, start, 2048), re.DOTALL)
    return xing is not None and bool(xing[1][0] & 1)
