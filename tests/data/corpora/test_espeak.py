"""Speech of espeak-ng: the same samples for the same arguments, and words with times."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from helpers.synthetic_speech import DRAW

from speechrnn.core.errors import UserError
from speechrnn.data.corpora import espeak


@pytest.mark.parametrize("voice", ["en-us+f3", "en-gb-scotland+klatt", "en+Andy", "en-us+croak"])
def test_speech_does_not_depend_on_what_was_spoken_before(voice: str) -> None:
    first = espeak.speak("Open the red door.", voice, seed=3).samples
    espeak.speak("Good morning.", "en-us+whisper", rate=220, pitch=70, seed=5)
    again = espeak.speak("Open the red door.", voice, seed=3).samples
    np.testing.assert_array_equal(first, again)


def test_voice_rate_and_pitch_are_heard() -> None:
    plain = espeak.speak(DRAW.text, "en-us")
    assert plain.sampling_rate == 22050
    assert plain.samples.dtype == np.float32
    # 0.7 times the speed takes well over 1.2 times as long
    slow = espeak.speak(DRAW.text, "en-us", rate=120)
    assert len(slow.samples) > 1.2 * len(plain.samples)
    for other in (espeak.speak(DRAW.text, "en-us+f3"), espeak.speak(DRAW.text, "en-us", pitch=80)):
        size = min(len(other.samples), len(plain.samples))
        assert np.corrcoef(other.samples[:size], plain.samples[:size])[0, 1] < 0.5


@pytest.mark.parametrize("voice", ["en-us", "en-us+f1", "en-gb-scotland+klatt"])
@pytest.mark.parametrize("rate", [130, 190])
def test_words_are_where_they_are_said_to_be(voice: str, rate: int) -> None:
    # Full stops part the words by silence, so that energy alone finds them; none begins or ends softly, and these
    # voices have no echo that sounds on.
    speech = espeak.speak("Monday. Nine. Lemon. Under.", voice, rate=rate)
    assert [word.word for word in speech.words] == ["Monday.", "Nine.", "Lemon.", "Under."]
    loud = np.abs(speech.samples) > 0.01 * np.abs(speech.samples).max()
    at = np.flatnonzero(loud)
    gaps = np.flatnonzero(np.diff(at) > 0.1 * speech.sampling_rate)
    starts = at[[0, *(gaps + 1)]] / speech.sampling_rate
    ends = at[[*gaps, -1]] / speech.sampling_rate
    np.testing.assert_allclose([word.start for word in speech.words], starts, atol=0.03)
    np.testing.assert_allclose([word.end for word in speech.words], ends, atol=0.06)


def test_words_follow_each_other_and_are_all_there_or_none() -> None:
    words = espeak.speak("Call 3 four, 27 — Micro-organisms!", "en-us").words
    assert words == ()  # a lone dash has no sound
    words = espeak.speak("Call 3   four, 27 Micro-organisms!", "en-us").words
    assert [word.word for word in words] == ["Call", "3", "four,", "27", "Micro-organisms!"]
    assert all(word.start < word.end for word in words)
    assert all(left.end <= right.start for left, right in itertools.pairwise(words))


def test_unknown_voices_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    espeak.check_voices(["en-us", "en-gb-scotland+m8", "en+Andy"])
    for voice, message in {
        "en-gb+f1": "espeak-ng has no voice en-gb+f1: 'en-gb' is none of en, en-029, en-gb-scotland",
        "en-us+F1": "espeak-ng has no voice en-us+F1: there is no variant 'F1'; did you mean f1",
        "en-us+": "espeak-ng has no voice en-us+: there is no variant ''",
    }.items():
        with pytest.raises(UserError, match=re.escape(message)):
            espeak.check_voices([voice])
    with pytest.raises(UserError, match="espeak-ng has no voice 'nobody'"):
        espeak.speak("Go.", "nobody")


def test_voices_that_cannot_be_read_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import espeakng_loader

    for folder, reason in ((tmp_path / "empty", "it is damaged"), (tmp_path / ("x" * 160), "its path is too long")):
        monkeypatch.setattr(espeakng_loader, "get_data_path", lambda folder=folder: str(folder / "espeak-ng-data"))
        with pytest.raises(UserError, match=re.escape(f"cannot read its voices in {folder}: {reason}")):
            espeak.speak("Go.", "en-us")
    monkeypatch.undo()
    assert len(espeak.speak("Go.", "en-us").samples) > 0
