"""The base class of the two readers: a recording as blocks of samples, whatever library decodes it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np

from speechrnn.audio.errors import AudioError, TruncatedAudioError
from speechrnn.core.errors import UserError

BLOCK_SAMPLES = 1 << 17  # read at a time: bounds the memory that reading takes
LENGTH_TOLERANCE = 0.1  # seconds by which the length in a header may err without the file being truncated


class AudioReader(ABC):
    """A recording that is read from its beginning.

    Attributes:
        path: the file.
        rate: sampling rate in Hz.
        channels: number of channels.
        frames: length of a channel in samples as the header states it; None where it states none that can be trusted.
        broken: whether the recording is known to be truncated or damaged; a read returns what is there first.
    """

    path: Path
    rate: int
    channels: int
    frames: int | None = None
    broken: bool = False

    def read(self, frames: int) -> np.ndarray:
        """Return the next `frames` samples, float32 (samples, channels); fewer only at the end.

        Raises:
            AudioError: the library that decodes the file raised an error of any kind.
        """
        try:
            return self._read(frames)
        except Exception as error:
            raise reading_error(self.path, error) from error

    def skip(self, frames: int) -> None:
        """Go `frames` samples forward from the beginning, before anything is read.

        Raises:
            AudioError: as `read`.
        """
        try:
            if frames > 0:  # a seek, even to the current position, fails in formats without seeking
                self._skip(frames)
        except Exception as error:
            raise reading_error(self.path, error) from error

    def is_truncated(self, position: int) -> bool:
        """Return whether the recording, which ended at sample `position`, should be longer or is damaged."""
        return self.broken or position < (self.frames or 0) - LENGTH_TOLERANCE * self.rate

    @abstractmethod
    def close(self) -> None:
        """Release the decoder."""

    @abstractmethod
    def _read(self, frames: int) -> np.ndarray: ...

    def _skip(self, frames: int) -> None:
        while frames > 0 and (read := len(self._read(min(frames, BLOCK_SAMPLES)))):
            frames -= read


def reading_error(path: Path, error: Exception) -> UserError:
    """Return a library's exception about a file as an AudioError of one sentence; an AudioError stays as it is."""
    if isinstance(error, UserError):
        return error
    message = " ".join(str(error).split()).rstrip(".")
    reason = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return AudioError(f"{path} cannot be decoded ({reason}); convert it to WAV or leave it out.")


def truncation_error(reader: AudioReader, position: int) -> TruncatedAudioError:
    """Return the error for a recording of which only the first `position` samples can be read."""
    seconds = position / reader.rate
    states_more = reader.frames is not None and reader.frames > position
    of = f" of {reader.frames / reader.rate:.2f} s" if reader.frames is not None and states_more else ""
    return TruncatedAudioError(
        f"{reader.path} breaks off at {seconds:.2f} s{of}: it is truncated or damaged; copy or download it again, "
        f"or keep what is there with ffmpeg -i {reader.path} repaired.wav.",
        seconds,
    )
