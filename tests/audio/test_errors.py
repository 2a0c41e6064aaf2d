"""Errors of recordings."""

from __future__ import annotations

import pickle

from speechrnn.audio.errors import AudioError, TruncatedAudioError
from speechrnn.core.errors import UserError


def test_a_truncation_goes_to_another_process_with_its_seconds() -> None:
    error = pickle.loads(pickle.dumps(TruncatedAudioError("a.wav ends after 3 s.", 3.0)))
    assert (str(error), error.seconds) == ("a.wav ends after 3 s.", 3.0)
    assert isinstance(error, AudioError) and isinstance(error, UserError)
