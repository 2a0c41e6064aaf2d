from __future__ import annotations

from pathlib import Path

import pytest
from helpers.corpora import Speak, Write

from speechrnn.core.errors import UserError
from speechrnn.data.corpora import CorpusOptions
from speechrnn.data.corpora.librispeech import missing_archives, utterances
from speechrnn.data.corpora.prepare import prepare


@pytest.fixture
def tiny(tmp_path: Path, speak: Speak, write: Write) -> Path:
    for part, chapter in (("train-clean-5", "19/198"), ("dev-clean-2", "84/121123"), ("test-clean", "61/70968")):
        folder = tmp_path / "LibriSpeech" / part / chapter
        name = chapter.replace("/", "-")
        write(folder / f"{name}.trans.txt", f"{name}-0000 NORTHANGER ABBEY\n{name}-0001 THIS LITTLE WORK\n")
        for number in (0, 1):
            speak(folder / f"{name}-{number:04}.flac", rate=16000)
    return tmp_path


def test_the_official_layout(tiny: Path) -> None:
    splits = utterances(tiny)
    assert [(u.id, u.text, u.speaker, u.audio.name) for u in splits["train"]] == [
        ("19-198-0000", "NORTHANGER ABBEY", "19", "19-198-0000.flac"),
        ("19-198-0001", "THIS LITTLE WORK", "19", "19-198-0001.flac"),
    ]
    assert [u.speaker for u in splits["dev"]] == ["84", "84"]
    assert [u.speaker for u in splits["test"]] == ["61", "61"]
    assert utterances(tiny / "LibriSpeech") == splits


def test_parts_can_be_chosen(tiny: Path) -> None:
    assert set(utterances(tiny, train_parts=[], test_parts=["test-clean"])) == {"dev", "test"}
    with pytest.raises(
        UserError, match=r"corpus\.train_parts: there is no folder train-clean-100 in .*, but dev-clean-2, "
    ):
        utterances(tiny, train_parts=["train-clean-100"])


def test_what_has_no_counterpart_is_named(tiny: Path, tmp_path: Path, speak: Speak) -> None:
    chapter = tiny / "LibriSpeech/train-clean-5/19/198"
    (chapter / "19-198-0001.flac").unlink()
    speak(chapter / "19-198-0007.flac")
    prepared = prepare(CorpusOptions("librispeech", tiny), tmp_path / "prepared")
    rejected = prepared.summary["splits"]["train"]["rejected"]["utterances"]
    assert [(item["id"], item["reason"]) for item in rejected] == [
        ("19-198-0001", "missing audio"),
        ("19-198-0007", "audio without transcript"),
    ]
    # the published dev part is kept: nothing is held out
    assert prepared.summary["dev_held_out_by"] is None
    assert prepared.summary["splits"]["dev"]["utterances"] == 2


def test_a_wrong_root_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"does not hold the corpus librispeech: looked for folders train-\*"):
        utterances(tmp_path)


def test_only_named_parts_are_downloaded(tiny: Path) -> None:
    with pytest.raises(UserError, match=r"needs the parts of LibriSpeech to fetch .* corpus\.train_parts"):
        missing_archives(tiny)
    archives = missing_archives(tiny, train_parts=["train-clean-100"], dev_parts=[], test_parts=["test-clean"])
    assert [archive.creates for archive in archives] == ["LibriSpeech/train-clean-100"]  # test-clean is there
    assert archives[0].url.endswith("/12/train-clean-100.tar.gz")
    with pytest.raises(UserError, match=r"corpus\.train_parts: train-big cannot be downloaded; there are dev-clean, "):
        missing_archives(tiny, train_parts=["train-big"], dev_parts=[], test_parts=[])
