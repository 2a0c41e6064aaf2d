from __future__ import annotations

from pathlib import Path

import pytest
from helpers.corpora import Speak, Write

from speechrnn.core.errors import UserError
from speechrnn.data.corpora.speech_commands import missing_archives, utterances


@pytest.fixture
def tiny(tmp_path: Path, speak: Speak, write: Write) -> Path:
    root = tmp_path / "speech_commands_v0.02"
    for name in ("yes/aa_nohash_0", "yes/bb_nohash_0", "no/aa_nohash_0", "no/cc_nohash_1", "_background_noise_/tap"):
        speak(root / f"{name}.wav")
    write(root / "validation_list.txt", "yes/bb_nohash_0.wav\n")
    write(root / "testing_list.txt", "no/cc_nohash_1.wav\nno/dd_nohash_0.wav\n")
    return tmp_path


def test_the_official_lists_are_kept(tiny: Path) -> None:
    splits = utterances(tiny)
    assert [(u.id, u.text, u.speaker) for u in splits["train"]] == [
        ("no-aa_nohash_0", "no", "aa"),
        ("yes-aa_nohash_0", "yes", "aa"),
    ]
    assert [(u.id, u.audio.is_file()) for u in splits["dev"]] == [("yes-bb_nohash_0", True)]
    # the last one is listed without audio
    assert [(u.speaker, u.audio.is_file()) for u in splits["test"]] == [("cc", True), ("dd", False)]
    assert utterances(tiny / "speech_commands_v0.02") == splits
    assert missing_archives(tiny) == []


def test_a_wrong_root_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"validation_list\.txt, testing_list\.txt not found there \(nor in a folder"):
        utterances(tmp_path)
    assert len(missing_archives(tmp_path)) == 1
