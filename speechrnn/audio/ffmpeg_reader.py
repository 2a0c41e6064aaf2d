"""Reader of what FFmpeg opens (PyAV): m4a, mp4, mkv, webm, ts, avi and whatever else libsndfile cannot read."""

from __future__ import annotations

import io
import itertools
import math
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speechrnn.audio.completeness import is_incomplete
from speechrnn.audio.errors import AudioError
from speechrnn.audio.reader import BLOCK_SAMPLES, AudioReader

if TYPE_CHECKING:
    import av

# FFmpeg's names of formats.
_MP4, _MATROSKA, _SPHERE = "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "nistsphere"
_EXACT_LENGTHS = (_MP4, _SPHERE)  # their lengths count in samples
_TIMED = (_MP4, _MATROSKA, "mpegts", "mpeg", "avi", "flv", "asf", "mxf", "nut")  # frames carry real time stamps
_TRANSPORT = ("mpegts", "mpeg", "mxf")  # their clock starts anywhere: the file's time 0 is its first time stamp

_JITTER = 0.05  # seconds by which a time stamp may differ from the samples so far: containers round, clocks drift
_RESTART = 1.0  # seconds; a time stamp that lies further back starts a new clock
_MATROSKA_TOLERANCE = 0.5  # seconds by which the length that is stated for a track may err
_MOST_SILENCE = 6 * 3600.0  # seconds that stand for gaps in a file; more is of a damaged time stamp


class FFmpegReader(AudioReader):
    """The best sound track of a container, decoded from its beginning, on the file's own clock.

    Where the sound starts later than the picture, or time stamps jump, silence stands for what is missing.
    """

    def __init__(self, path: Path, file: io.FileIO, damaged: bool = False, read_on: bool = False) -> None:
        """Open a file.

        Args:
            path: its name.
            file: the open file, at its beginning.
            damaged: whether the file is known to be damaged.
            read_on: ignore the length in a WAV header and read to the end of the file.

        Raises:
            AudioError: there is no sound track that can be decoded.
            av.error.FFmpegError: FFmpeg cannot open it.
        """
        import av

        self._error = av.error.FFmpegError
        # No playlist inside may make FFmpeg open other files or addresses.
        options = {"protocol_whitelist": "file"}
        if read_on:
            options["ignore_length"] = "1"
        self._container = av.open(file, "r", metadata_errors="ignore", options=options)
        track = self._container.streams.best("audio")
        if not isinstance(track, av.AudioStream) or track.codec_context is None:
            raise AudioError(f"{path} holds no sound track that can be decoded; convert it to WAV or leave it out.")
        self.path, self.rate, self.channels = path, track.codec_context.sample_rate, track.codec_context.channels
        self._format = self._container.format.name
        stated = None if read_on else self._stated_end(track)
        self.frames = (round(stated * self.rate) or None) if stated is not None else None
        # An encoder fills its last packet up; the header says where the recording ended.
        self._end = self.frames if self._format in _EXACT_LENGTHS else None
        self._damaged = damaged
        self._cut = not read_on and is_incomplete(path)
        self._decoded = self._decode(track)
        self._position = 0
        self._rest: np.ndarray = np.empty((0, self.channels), np.float32)

    def is_truncated(self, position: int) -> bool:
        """Return whether the file ends before it should or is damaged."""
        if self.broken or self._damaged or self._cut:
            return True
        if self._format == _MATROSKA:  # a block that cannot be read hides all that follow
            return position < (self.frames or 0) - _MATROSKA_TOLERANCE * self.rate
        return self._format in _EXACT_LENGTHS and super().is_truncated(position)

    def _stated_end(self, track: av.AudioStream) -> Fraction | None:
        """Return where the header says that the sound ends, in seconds of the file's clock."""
        import av

        if self._format in _EXACT_LENGTHS and track.duration and track.time_base:
            start = max(track.start_time or 0, 0) if self._format == _MP4 else 0
            return (start + track.duration) * track.time_base
        if self._format == _MATROSKA:
            clock = re.fullmatch(r"(\d{1,4}):(\d\d):(\d\d(?:\.\d{1,9})?)", track.metadata.get("DURATION", ""))
            if clock is not None:
                return int(clock[1]) * 3600 + int(clock[2]) * 60 + Fraction(clock[3])
            # The length of the container is that of its longest track.
            if self._container.duration and len(self._container.streams) == 1:
                return Fraction(self._container.duration, av.time_base)
        return None

    def _decode(self, track: av.AudioStream) -> Iterator[np.ndarray]:
        """Yield (samples, channels) of all frames, and silence where time stamps say that sound is missing."""
        import av

        # Packed: of planar frames, PyAV 18 reads no more than 8 channels, and ends the process beyond.
        to_float = av.AudioResampler(format="flt", layout=track.codec_context.layout, rate=self.rate)
        frames: Iterator[Any] = itertools.chain(self._container.decode(track), [None])
        clock = _Clock(self._container, self.rate) if self._format in _TIMED else None
        position = 0  # samples so far
        for frame in frames:
            if clock is not None and frame is not None:
                missing = clock.missing(frame, position)
                for start in range(0, missing, BLOCK_SAMPLES):
                    yield np.zeros((min(BLOCK_SAMPLES, missing - start), self.channels), np.float32)
                position += missing
            for part in to_float.resample(frame):
                yield part.to_ndarray().reshape(part.samples, -1)
                position += part.samples

    def _read(self, frames: int) -> np.ndarray:
        if self._end is not None:
            frames = max(0, min(frames, self._end - self._position))
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

    def close(self) -> None:
        """Release the decoder."""
        self._container.close()


class _Clock:
    """The time stamps of a container's frames, as places in samples."""

    def __init__(self, container: av.container.InputContainer, rate: int) -> None:
        import av

        self._rate = rate
        self._origin, self._limit = Fraction(0), math.inf
        if container.format.name in _TRANSPORT and container.start_time is not None:
            self._origin = Fraction(container.start_time, av.time_base)
        if container.duration is not None and container.duration > 0:
            self._limit = float(Fraction(container.duration, av.time_base)) + _RESTART
        self._silence = 0  # samples so far
        self._shift = 0  # samples by which this part's time stamps lie before the file's clock

    def missing(self, frame: av.AudioFrame, position: int) -> int:
        """Return the samples of silence before a frame that comes `position` samples after the beginning."""
        if frame.pts is None or frame.time_base is None:
            return 0
        place = round((frame.pts * frame.time_base - self._origin) * self._rate) + self._shift
        gap = place - position
        beyond = place > self._limit * self._rate or self._silence + gap > _MOST_SILENCE * self._rate
        if gap < -_RESTART * self._rate or beyond:
            self._shift -= gap  # another clock, or a damaged time stamp: go on without a gap
            return 0
        if gap <= _JITTER * self._rate:
            return 0
        self._silence += gap
        return gap
