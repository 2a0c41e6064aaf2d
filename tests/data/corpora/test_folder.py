from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.corpora import Speak, Write

from speechrnn.core.errors import UserError
from speechrnn.data.corpora import CorpusOptions, corpus_options
from speechrnn.data.corpora.folder import utterances
from speechrnn.data.corpora.prepare import prepare


def test_audio_beside_text_of_the_same_name(tmp_path: Path, speak: Speak, write: Write) -> None:
    speak(tmp_path / "anna/one.wav")
    write(tmp_path / "anna/one.txt", "Sharks feed\non fish.\n")
    speak(tmp_path / "two.ogg")
    write(tmp_path / "two.txt", "Fish feed.")
    found = utterances(tmp_path)
    assert [(u.id, u.text, u.speaker) for u in found["train"]] == [
        ("anna/one", "Sharks feed on fish.", None),
        ("two", "Fish feed.", None),
    ]
    assert [u.speaker for u in utterances(tmp_path, speaker_from_folder=True)["train"]] == ["anna", None]


def test_split_folders_are_kept(tmp_path: Path, speak: Speak, write: Write) -> None:
    for split in ("train", "dev", "test"):
        speak(tmp_path / split / "a.wav")
        write(tmp_path / split / "a.lab", split)
    found = utterances(tmp_path, text_suffix=".lab")
    assert {split: [u.text for u in part] for split, part in found.items()} == {
        s: [s] for s in ("train", "dev", "test")
    }
    prepared = prepare(
        corpus_options({"name": "folder", "root": tmp_path, "text_suffix": ".lab"}), tmp_path / "prepared"
    )
    # the same name in each part, and still three distinct ids
    assert [len(set(prepared.summary["splits"])), prepared.summary["dev_held_out_by"]] == [3, None]


def test_what_has_no_counterpart_is_named(tmp_path: Path, speak: Speak, write: Write) -> None:
    corpus = tmp_path / "corpus"
    for name in ("both", "sound"):
        speak(corpus / f"{name}.wav")
    for name in ("both", "words"):
        write(corpus / f"{name}.txt", "yes")
    write(corpus / "empty.txt", "\n")
    speak(corpus / "empty.wav")
    prepared = prepare(CorpusOptions("folder", corpus), tmp_path / "prepared")
    rejected = prepared.summary["splits"]["train"]["rejected"]
    assert {item["id"]: item["reason"] for item in rejected["utterances"]} == {
        "sound": "audio without transcript",
        "words": "missing audio",
        "empty": "empty transcript",
    }
    assert rejected["count"] == 3


def test_an_empty_folder_and_bad_keys(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=f"corpus.root={tmp_path} does not hold .* looked for audio files, each beside a text file"
    ):
        utterances(tmp_path)
    with pytest.raises(UserError, match=r"corpus\.text_suffix='txt' must start with a dot"):
        utterances(tmp_path, text_suffix="txt")


def test_takes_of_a_prompt_are_in_the_same_part_and_the_log_says_what_is_shared(
    tmp_path: Path, speak: Callable[..., Path], write: Callable[..., Path], read_cuts: Callable[..., Any]
) -> None:
    for prompt in range(24):
        for take in range(2):
            speak(tmp_path / "corpus" / f"{take}_{prompt}.wav", seconds=0.5 + prompt / 100 + take / 1000)
            write(tmp_path / "corpus" / f"{take}_{prompt}.txt", f"say {chr(97 + prompt)}")
    prepared = prepare(CorpusOptions("folder", tmp_path / "corpus", dev_fraction=0.2), tmp_path / "prepared")
    train, dev = (
        {cut["supervisions"][0]["text"] for cut in read_cuts(path)} for path in (prepared.train, prepared.dev)
    )
    assert dev
    assert not train & dev
    assert prepared.summary["dev_held_out_by"] == "text"
    assert prepared.summary["shared_with_train"]["dev"] == {"texts": 0, "speakers": 0, "recordings": 0}
    (tmp_path / "corpus" / "test").mkdir()
    (tmp_path / "corpus" / "train").mkdir()
    for suffix in ("wav", "txt"):
        for take, part in enumerate(("train", "test")):
            (tmp_path / "corpus" / f"{take}_0.{suffix}").rename(tmp_path / "corpus" / part / f"a.{suffix}")
    published = prepare(CorpusOptions("folder", tmp_path / "corpus", dev_fraction=0), tmp_path / "published")
    assert published.describe()[1].endswith("; 1 utterance has a text that train has too")


def test_copies_of_a_recording_are_held_out_together_and_a_copy_in_test_is_counted(
    tmp_path: Path, speak: Callable[..., Path], write: Callable[..., Path], read_cuts: Callable[..., Any]
) -> None:
    """The texts are digits, which are held out without regard to their texts."""
    corpus = tmp_path / "corpus"
    for number in range(20):
        path = speak(corpus / f"{number}.wav", seconds=0.5 + number / 100)
        for name in (f"{number}", f"copy_of_{number}"):
            (corpus / f"{name}.wav").write_bytes(path.read_bytes())
            write(corpus / f"{name}.txt", ["one", "two", "three"][number % 3])
    prepared = prepare(CorpusOptions("folder", corpus, dev_fraction=0.3), tmp_path / "prepared")
    train, dev = (
        {cut["id"].removeprefix("copy_of_") for cut in read_cuts(path)} for path in (prepared.train, prepared.dev)
    )
    assert dev and not train & dev
    assert prepared.summary["shared_with_train"]["dev"]["recordings"] == 0
    for part, names in (("train", ["1", "2"]), ("test", ["copy_of_1", "3"])):
        (corpus / part).mkdir()
        for name in names:
            for suffix in ("wav", "txt"):
                (corpus / f"{name}.{suffix}").rename(corpus / part / f"{name}.{suffix}")
    published = prepare(CorpusOptions("folder", corpus, dev_fraction=0), tmp_path / "published")
    assert "1 utterance has a recording that train has too" in published.describe()[1]


def test_folders_that_look_like_speakers_are_held_out_whole(
    tmp_path: Path, speak: Callable[..., Path], write: Callable[..., Path]
) -> None:
    for speaker in ("anna", "ben", "cleo"):
        for prompt in ("one fish", "two fish"):
            speak(tmp_path / "people" / speaker / f"{prompt}.wav")
            write(tmp_path / "people" / speaker / f"{prompt}.txt", prompt)
    assert {u.speaker for u in utterances(tmp_path / "people")["train"]} == {"anna", "ben", "cleo"}
    assert {u.speaker for u in utterances(tmp_path / "people", speaker_from_folder=False)["train"]} == {None}
    prepared = prepare(CorpusOptions("folder", tmp_path / "people", dev_fraction=0.3), tmp_path / "prepared")
    assert prepared.summary["dev_held_out_by"] == "speaker"


def test_folders_of_one_word_are_labels(tmp_path: Path, speak: Callable[..., Path], write: Callable[..., Path]) -> None:
    for word in ("yes", "no"):
        for take in "12":
            speak(tmp_path / word / f"{take}.wav")
            write(tmp_path / word / f"{take}.txt", word)
    assert {u.speaker for u in utterances(tmp_path)["train"]} == {None}


def test_composed_and_decomposed_names_meet(tmp_path: Path, speak: Speak, write: Write) -> None:
    speak(tmp_path / "cafe\u0301.wav")
    write(tmp_path / "caf\u00e9.txt", "yes")
    (found,) = utterances(tmp_path)["train"]
    assert (found.text, found.audio.is_file()) == ("yes", True)
