from __future__ import annotations

from pathlib import Path

import pytest

from speechrnn.corpora import CorpusOptions
from speechrnn.corpora.prepare import prepare
from speechrnn.corpora.yesno import missing_archives, utterances
from speechrnn.errors import UserError

NAMES = ["0_0_1_1", "0_1_0_1", "1_0_0_0", "1_1_1_1"]


@pytest.fixture
def tiny(tmp_path: Path, speak) -> Path:
    for name in NAMES:
        speak(tmp_path / "waves_yesno" / f"{name}.wav")
    return tmp_path


def test_labels_are_the_file_names_and_the_first_half_trains(tiny: Path) -> None:
    splits = utterances(tiny)
    assert [(u.id, u.text, u.speaker) for u in splits["train"]] == [
        ("0_0_1_1", "NO NO YES YES", "global"),
        ("0_1_0_1", "NO YES NO YES", "global"),
    ]
    assert [u.id for u in splits["test"]] == NAMES[2:]
    assert utterances(tiny / "waves_yesno") == splits
    assert missing_archives(tiny) == []
    assert len(missing_archives(tiny / "other")) == 1


def test_icefalls_split_takes_every_second_file(tiny: Path) -> None:
    splits = utterances(tiny, split="icefall")
    assert [u.id for u in splits["train"]] == NAMES[::2]
    assert [u.id for u in splits["test"]] == NAMES[1::2]


def test_audio_with_another_name_is_reported(tiny: Path, tmp_path: Path, speak) -> None:
    speak(tiny / "waves_yesno/hello.wav")
    prepared = prepare(CorpusOptions("yesno", tiny), tmp_path / "prepared")
    rejected = prepared.summary["splits"]["train"]["rejected"]
    assert [(item["id"], item["reason"]) for item in rejected["utterances"]] == [("hello", "audio without transcript")]


def test_a_wrong_root_says_what_was_looked_for(tmp_path: Path, speak) -> None:
    speak(tmp_path / "hello.wav")
    with pytest.raises(UserError, match=r"does not hold the corpus yesno: looked for .*0_1_1_0_0_1_1_0\.wav"):
        utterances(tmp_path)


def test_the_real_yesno(shared: Path, tmp_path: Path) -> None:
    whole = prepare(CorpusOptions("yesno", shared / "yesno", dev_fraction=0), tmp_path / "whole").summary["splits"]
    assert {split: (part["utterances"], part["words"]) for split, part in whole.items()} == {
        "train": (30, 240),
        "test": (30, 240),
    }
    held = prepare(CorpusOptions("yesno", shared / "yesno", dev_fraction=0.1), tmp_path / "held").summary
    # one speaker: nothing but utterances can be held out
    assert held["dev_held_out_by"] == "utterance"
    assert {split: part["utterances"] for split, part in held["splits"].items()} == {"train": 27, "dev": 3, "test": 30}
