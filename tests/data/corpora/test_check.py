"""Each utterance that cannot be used is left out with its reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from speechrnn.audio import save_audio
from speechrnn.data.corpora import Utterance, corpus_options
from speechrnn.data.corpora.check import (
    EMPTY_TRANSCRIPT,
    MISSING_AUDIO,
    NO_TRANSCRIPT,
    OUTSIDE,
    TWICE,
    UNREADABLE,
    Accepted,
    Rejected,
    check,
    stamp,
)
from speechrnn.text.normalisation import NormalisationOptions


def outcome(folder: Path, *utterances: Utterance, split: str = "train") -> tuple[list[Accepted], list[Rejected]]:
    options = corpus_options({"name": "folder", "root": str(folder), "min_seconds": 0.2, "max_seconds": 5.0})
    stamps = [stamp(utterance.audio) for utterance in utterances]
    return check(split, utterances, stamps, options=options, normalisation=NormalisationOptions(), seen=set())


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    save_audio(path, np.full(16000, 0.1, np.float32), 16000)
    return path


def test_an_utterance_is_normalised_and_its_duration_is_known(wav: Path) -> None:
    (accepted,), rejected = outcome(wav.parent, Utterance("a", wav, "one  two", speaker="s", start=0.25))
    assert not rejected and accepted.duration == 0.75 and accepted.info.sampling_rate == 16000
    assert accepted.text.split() == ["ONE", "TWO"]


def test_the_reasons(wav: Path) -> None:
    damaged = wav.with_name("damaged.wav")
    damaged.write_bytes(b"RIFF")
    listed = [
        (Utterance("good", wav, "A", speaker="s"), None),
        (Utterance("again", wav, "B", speaker="s"), TWICE),
        (Utterance("gone", wav.with_name("gone.wav"), "A", speaker="s"), MISSING_AUDIO),
        (Utterance("silent", wav, None, speaker="s"), NO_TRANSCRIPT),
        (Utterance("empty", wav, " ", speaker="s"), EMPTY_TRANSCRIPT),
        (Utterance("damaged", damaged, "A", speaker="s"), UNREADABLE),
        (Utterance("late", wav, "A", speaker="s", start=0.9, duration=0.5), OUTSIDE),
        (Utterance("channel", wav, "A", speaker="s", start=0.1, channel=1), OUTSIDE),
        (Utterance("short", wav, "A", speaker="s", start=0.95), "shorter than 0.2 s"),
    ]
    utterances = [utterance for utterance, _ in listed]
    accepted, rejected = outcome(wav.parent, *utterances)
    assert [each.utterance.id for each in accepted] == ["good"]
    reasons = {each.utterance.id: each.reason for each in rejected}
    assert reasons == {utterance.id: reason for utterance, reason in listed if reason}


@pytest.mark.parametrize(("split", "used"), [("train", False), ("dev", True), ("test", True)])
def test_only_training_utterances_may_be_too_long(tmp_path: Path, split: str, used: bool) -> None:
    path = tmp_path / "long.wav"
    save_audio(path, np.full(6 * 8000, 0.1, np.float32), 8000)
    accepted, _ = outcome(tmp_path, Utterance("a", path, "A", speaker="s"), split=split)
    assert bool(accepted) == used
