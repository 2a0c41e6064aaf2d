"""Tests of the base class of readers: any error of a library becomes a sentence that names the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from speechrnn.audio.errors import AudioError
from speechrnn.audio.reader import BLOCK_SAMPLES, AudioReader, reading_error, truncation_error
from speechrnn.core.errors import UserError


class Recording(AudioReader):
    """A reader of so many samples in memory."""

    def __init__(self, present: int, stated: int | None = None, error: Exception | None = None) -> None:
        self.path, self.rate, self.channels = Path("talk.wav"), 8000, 1
        self.frames, self.left, self.error = stated, present, error

    def _read(self, frames: int) -> np.ndarray:
        if self.error is not None:
            raise self.error
        frames = min(frames, self.left)
        self.left -= frames
        return np.zeros((frames, 1), np.float32)

    def close(self) -> None:
        self.left = 0


def test_without_seeking_samples_are_skipped_by_reading() -> None:
    reader = Recording(3 * BLOCK_SAMPLES)
    reader.skip(2 * BLOCK_SAMPLES + 5)
    assert reader.left == BLOCK_SAMPLES - 5
    reader.skip(10 * BLOCK_SAMPLES)  # beyond the end
    assert reader.left == 0 and len(reader.read(1)) == 0


def test_nothing_is_touched_to_skip_nothing() -> None:
    Recording(10, error=RuntimeError("cannot seek")).skip(0)


@pytest.mark.parametrize("error", [RuntimeError("bad\n  frame."), OSError(), ValueError("x"), MemoryError("full")])
def test_any_error_of_a_library_is_a_sentence(error: Exception) -> None:
    for act in (Recording(10, error=error).read, Recording(10, error=error).skip):
        with pytest.raises(AudioError, match=rf"^talk\.wav cannot be decoded \({type(error).__name__}") as caught:
            act(5)
        assert str(caught.value).count("\n") == 0 and caught.value.__cause__ is error


def test_a_sentence_for_the_user_stays() -> None:
    error = UserError("talk.wav is locked.")
    assert reading_error(Path("talk.wav"), error) is error


@pytest.mark.parametrize(
    ("stated", "position", "truncated"),
    [(None, 1, False), (8000, 8000, False), (8000, 7300, False), (8000, 7100, True)],
)
def test_a_header_may_err_by_a_tenth_of_a_second(stated: int | None, position: int, truncated: bool) -> None:
    assert Recording(0, stated).is_truncated(position) is truncated


def test_the_sentence_says_how_much_of_the_recording_is_there() -> None:
    error = truncation_error(Recording(0, 80000), 16000)
    assert error.seconds == 2.0 and "2.00 s of 10.00 s" in str(error)
    assert " of " not in str(truncation_error(Recording(0), 16000)).split(":")[0]
