from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from helpers.corpora import Speak

from speechrnn.core.errors import UserError
from speechrnn.data.corpora import CorpusOptions, corpus_options
from speechrnn.data.corpora.prepare import prepare
from speechrnn.data.corpora.yesno import find_sounds, missing_archives, utterances

NAMES = ["0_0_1_1", "0_1_0_1", "1_0_0_0", "1_1_1_1"]


@pytest.fixture
def tiny(tmp_path: Path, speak: Speak) -> Path:
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


def test_audio_with_another_name_is_reported(tiny: Path, tmp_path: Path, speak: Speak) -> None:
    speak(tiny / "waves_yesno/hello.wav")
    prepared = prepare(CorpusOptions("yesno", tiny), tmp_path / "prepared")
    rejected = prepared.summary["splits"]["train"]["rejected"]
    assert [(item["id"], item["reason"]) for item in rejected["utterances"]] == [("hello", "audio without transcript")]


def test_a_wrong_root_says_what_was_looked_for(tmp_path: Path, speak: Speak) -> None:
    speak(tmp_path / "hello.wav")
    with pytest.raises(UserError, match=r"does not hold the corpus yesno: looked for .*0_1_1_0_0_1_1_0\.wav"):
        utterances(tmp_path)


def bursts(sounds: list[tuple[float, float]], seconds: float, rate: int = 8000) -> np.ndarray:
    """Noise at a hundredth, and tones of 0.3 between the given seconds."""
    time = np.arange(round(seconds * rate)) / rate
    wave = 0.003 * np.random.default_rng(0).standard_normal(len(time))
    for start, end in sounds:
        wave += 0.3 * np.sin(2 * np.pi * 600 * time) * ((time >= start) & (time < end))
    return wave.astype(np.float32)


def test_sounds_are_found_where_they_are() -> None:
    sounds = [(0.2, 0.5), (0.7, 1.1), (1.3, 1.5)]
    found = find_sounds(bursts(sounds, 2.0), 8000, 3)
    assert found is not None
    np.testing.assert_allclose(found, sounds, atol=0.021)
    assert find_sounds(bursts(sounds, 2.0), 8000, 4) is None
    assert find_sounds(np.zeros(8000, np.float32), 8000, 2) is None
    assert find_sounds(np.zeros(3, np.float32), 8000, 2) is None


def test_training_files_are_cut_in_silences(tmp_path: Path) -> None:
    """Eight words of 0.3 s with 0.3 s of silence after each: the cuts lie in the middle of the right silences."""
    name = "0_1_0_0_1_1_0_1"
    wave = bursts([(0.6 * word, 0.6 * word + 0.3) for word in range(8)], 4.8)
    soundfile.write(tmp_path / f"{name}.wav", wave, 8000)
    soundfile.write(tmp_path / "1_1_1_1_1_1_1_1.wav", wave, 8000)
    splits = utterances(tmp_path)
    assert [u.text for u in splits["train"]] == ["NO", "YES NO NO", "YES YES NO YES"]
    assert [u.id for u in splits["train"]] == [f"{name}-1", f"{name}-2", f"{name}-3"]
    starts = [u.start for u in splits["train"]]
    assert starts == pytest.approx([0.0, 0.45, 4 * 0.6 - 0.15], abs=0.02)
    ends = [u.start + (u.duration or 0) for u in splits["train"]]
    assert ends == pytest.approx([*starts[1:], 4.8])
    assert [(u.id, u.start, u.duration) for u in splits["test"]] == [("1_1_1_1_1_1_1_1", 0.0, None)]
    assert [u.id for u in utterances(tmp_path, segments=False)["train"]] == [name]


def test_a_file_with_other_words_than_its_name_says_has_no_transcript(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "0_1_0_0_1_1_0_1.wav", bursts([(0.1, 3.0)], 4.0), 8000)
    (tmp_path / "0_1_0_0_1_1_1_1.wav").write_bytes(b"no audio")
    for name in ("1_0_0_0_0_0_0_0", "1_1_1_1_1_1_1_1"):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(8000), 8000)
    train = utterances(tmp_path)["train"]
    assert [(u.id, u.text is None) for u in train] == [("0_1_0_0_1_1_0_1", True), ("0_1_0_0_1_1_1_1", False)]
    prepared = prepare(CorpusOptions("yesno", tmp_path), tmp_path / "prepared").summary["splits"]["train"]
    assert prepared["rejected"]["reasons"] == {"audio without transcript": 1, "unreadable audio": 1}


def test_the_real_yesno(shared: Path, tmp_path: Path) -> None:
    def prepared(**options: object) -> dict[str, Any]:
        config = {"name": "yesno", "root": str(shared / "yesno"), **options}
        return prepare(corpus_options(config), tmp_path / str(len(options))).summary

    whole = prepared(dev_fraction=0, segments=False)["splits"]
    assert {split: (part["utterances"], part["words"]) for split, part in whole.items()} == {
        "train": (30, 240),
        "test": (30, 240),
    }
    cut = prepared(dev_fraction=0)["splits"]
    # all training files but one, in which seven words are heard
    assert (cut["train"]["utterances"], cut["train"]["words"]) == (29 * 3, 29 * 8)
    assert [item["id"] for item in cut["train"]["rejected"]["utterances"]] == ["0_1_0_1_0_0_0_0"]
    assert (cut["test"]["utterances"], cut["test"]["words"]) == (30, 240)
    held = prepared()
    # one speaker: nothing but utterances can be held out
    assert held["dev_held_out_by"] == "utterance"
    assert held["splits"]["train"]["words"] + held["splits"]["dev"]["words"] == 29 * 8
