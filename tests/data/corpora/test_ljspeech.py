from __future__ import annotations

from pathlib import Path

import pytest
from helpers.corpora import Speak, Write

from speechrnn.core.errors import UserError
from speechrnn.data.corpora import CorpusOptions
from speechrnn.data.corpora.ljspeech import missing_archives, utterances
from speechrnn.data.corpora.prepare import prepare


@pytest.fixture
def tiny(tmp_path: Path, speak: Speak, write: Write) -> Path:
    root = tmp_path / "LJSpeech-1.1"
    lines = [
        f'LJ001-{n:04}|chapter {n}, Mr. "X|chapter {["one", "two", "three", "four"][n - 1]}, Mister "X'
        for n in range(1, 5)
    ]
    write(root / "metadata.csv", "\n".join(lines) + "\n")
    for n in range(1, 5):
        speak(root / "wavs" / f"LJ001-{n:04}.wav", rate=22050)
    return tmp_path


def test_the_official_layout(tiny: Path) -> None:
    train = utterances(tiny)["train"]
    assert (train[0].id, train[0].text, train[0].speaker) == ("LJ001-0001", 'chapter one, Mister "X', "LJ")
    assert utterances(tiny, expanded=False)["train"][0].text == 'chapter 1, Mr. "X'
    assert utterances(tiny / "LJSpeech-1.1") == {"train": train}
    assert missing_archives(tiny) == []


def test_dev_is_held_out_by_utterance_and_there_is_no_test(tiny: Path, tmp_path: Path, speak: Speak) -> None:
    speak(tiny / "LJSpeech-1.1/wavs/LJ009-0001.wav")
    prepared = prepare(CorpusOptions("ljspeech", tiny, dev_fraction=0.25), tmp_path / "prepared")
    splits = prepared.summary["splits"]
    assert (splits["train"]["utterances"], splits["dev"]["utterances"]) == (3, 1)
    assert prepared.test is None
    assert splits["train"]["rejected"]["reasons"] == {"audio without transcript": 1}


def test_bad_input(tiny: Path, tmp_path: Path, write: Write) -> None:
    write(tiny / "LJSpeech-1.1/metadata.csv", "LJ001-0001|one|one\nnothing here\n")
    with pytest.raises(
        UserError, match=r"metadata\.csv, line 2: expected 'ID\|text\|expanded text', got 'nothing here'"
    ):
        utterances(tiny)
    with pytest.raises(UserError, match=r"metadata\.csv, wavs not found there"):
        utterances(tiny / "LJSpeech-1.1/wavs")
