"""Errors of recordings."""

from __future__ import annotations

from speechrnn.core.errors import UserError, one_line


class AudioError(UserError):
    """A recording cannot be read: one sentence with its path, the reason and what to do.

    >>> from speechrnn.audio import load_audio
    >>> load_audio("talks/missing.wav")
    Traceback (most recent call last):
    ...
    speechrnn.audio.errors.AudioError: ...
    """


class TruncatedAudioError(AudioError):
    """A recording ends before it should, or is damaged from some place on.

    >>> error = TruncatedAudioError("talk.wav ends after 3.2 s of 5 s; copy it again.", 3.2)
    >>> str(error), error.seconds
    ('talk.wav ends after 3.2 s of 5 s; copy it again.', 3.2)

    Attributes:
        sentence: the message.
        seconds: the length of what can be read, or was read.
    """

    def __init__(self, sentence: str, seconds: float) -> None:
        super().__init__(sentence, seconds)  # both, since pickle makes the error from its arguments
        self.sentence, self.seconds = sentence, seconds

    def __str__(self) -> str:
        return one_line(self.sentence)
