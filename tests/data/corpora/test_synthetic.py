"""Synthetic speech: the same from the same seed, as loud, noisy and long as drawn, its words where it says."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.corpora import ReadCuts

from speechrnn.audio import audio_info
from speechrnn.core.errors import UserError
from speechrnn.data.corpora import SPLITS, corpus_options, espeak
from speechrnn.data.corpora.prepare import prepare
from speechrnn.data.corpora.synthesis import MARGIN
from speechrnn.data.corpora.synthetic import DEV_VOICES, TEST_VOICES, TRAIN_VOICES, utterances

pytest.importorskip("espeakng_loader", reason="espeak-ng is not installed (pip install 'speechrnn[demo]')")

PAGE = Path(__file__).parents[3] / "conf" / "corpus" / "synthetic.yaml"

SMALL: dict[str, Any] = {"train_utterances": 3, "dev_utterances": 1, "test_utterances": 2}


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic") / "corpus"
    utterances(root, **SMALL)
    return root


def test_without_espeak_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(UserError, match=re.escape("pip install 'speechrnn[demo]'")):
        utterances(tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()


def test_the_same_seed_makes_the_same_bytes(made: Path, tmp_path: Path) -> None:
    utterances(tmp_path / "same", **SMALL)
    assert contents(tmp_path / "same") == contents(made)
    utterances(tmp_path / "larger", train_utterances=4, dev_utterances=0, test_utterances=2)
    larger = contents(tmp_path / "larger")
    sounds = {name: data for name, data in contents(made).items() if name.endswith(".flac")}
    assert {name: larger[name] for name in sounds if not name.startswith("dev")} == {
        name: data for name, data in sounds.items() if not name.startswith("dev")
    }
    utterances(tmp_path / "other", **SMALL, seed=1)
    other = contents(tmp_path / "other")
    assert not any(other[name] == sounds[name] for name in sounds)


def test_what_is_written(made: Path) -> None:
    splits = utterances(made, **SMALL)
    assert {split: len(found) for split, found in splits.items()} == {"train": 3, "dev": 1, "test": 2}
    assert [found.id for found in splits["test"]] == ["test-00000", "test-00001"]
    entries = {entry["id"]: entry for entry in map(json.loads, (made / "utterances.jsonl").read_text().splitlines())}
    words = {entry["id"]: entry["words"] for entry in map(json.loads, (made / "words.jsonl").read_text().splitlines())}
    for split, voices in (("train", TRAIN_VOICES), ("dev", DEV_VOICES), ("test", TEST_VOICES)):
        for index, found in enumerate(splits[split]):
            info = audio_info(found.audio)
            assert (info.sampling_rate, info.channels) == (16000, 1)
            assert found.speaker == voices[index]
            entry = entries[found.id]
            assert (entry["text"], entry["voice"]) == (found.text, found.speaker)
            assert entry["duration"] == pytest.approx(info.duration, abs=1e-3)
            assert found.text is not None
            assert [word["word"] for word in words[found.id]] == found.text.split()
            assert words[found.id][0]["start"] == pytest.approx(MARGIN, abs=0.06)
            assert words[found.id][-1]["end"] == pytest.approx(info.duration - MARGIN, abs=0.06)


def test_a_corpus_is_made_once_and_again_when_it_must(tmp_path: Path) -> None:
    keys = {"train_utterances": 2, "dev_utterances": 0, "test_utterances": 1}

    def make(**other: object) -> dict[str, int]:
        utterances(tmp_path, **{**keys, **other})  # type: ignore[arg-type]
        return {path.name: path.stat().st_mtime_ns for path in tmp_path.rglob("*.flac")}

    first = make()
    assert sorted(first) == ["test-00000.flac", "train-00000.flac", "train-00001.flac"]
    assert make() == first
    (tmp_path / "train" / "train-00001.flac").unlink()
    second = make()
    assert sorted(second) == sorted(first)
    marker = tmp_path / "synthetic.json"
    marker.write_text(
        marker.read_text().replace('"complete": true', '"complete": false')
    )  # as an interruption leaves it
    assert make()["train-00000.flac"] > second["train-00000.flac"]
    # Fewer utterances: those of before are not left behind.
    assert sorted(make(train_utterances=1, test_utterances=0)) == ["train-00000.flac"]


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match=f"corpus.root={tmp_path} holds files, but no synthetic corpus"):
        utterances(tmp_path, **SMALL)
    assert list(tmp_path.iterdir()) == [tmp_path / "thesis.txt"]
    with pytest.raises(UserError, match="is a file, not a folder"):
        utterances(tmp_path / "thesis.txt", **SMALL)
    with pytest.raises(UserError, match=r"needs corpus\.root"):
        utterances(None, **SMALL)


def test_own_sentences_from_a_list_or_a_file(tmp_path: Path) -> None:
    said = ("Good morning.", "How are you?")
    from_list = utterances(tmp_path / "list", **{**SMALL, "train_utterances": 8}, sentences=said)
    assert {found.text for found in from_list["train"]} == set(said)
    (tmp_path / "said.txt").write_text("\ufeffGood morning.\n\n How  are you? \n")
    from_file = utterances(tmp_path / "file", **{**SMALL, "train_utterances": 8}, sentences=str(tmp_path / "said.txt"))
    assert [found.text for found in from_file["train"]] == [found.text for found in from_list["train"]]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"rate": (190, 140)}, "corpus.rate=[190,140] is wrong: it must be from 80 to 450, the lower one first."),
        ({"pitch": (0, 101)}, "corpus.pitch=[0,101] is wrong: it must be from 0 to 100"),
        ({"seed": -1}, "corpus.seed=-1 is wrong"),
        ({"sampling_rate": 16}, "corpus.sampling_rate=16 is wrong: it must be from 8000"),
        ({"test_utterances": -1}, "corpus.test_utterances=-1 is wrong"),
        ({"dev_voices": ()}, "corpus.dev_voices=[] names no voice"),
        ({"test_voices": ("en-us", "en-us+m9")}, "espeak-ng has no voice en-us+m9"),
        ({"sentences": ("", "  ")}, "corpus.sentences holds no sentence"),
        ({"sentences": "/no/such/file.txt"}, "corpus.sentences=/no/such/file.txt cannot be read"),
    ],
)
def test_wrong_values_are_named_before_anything_is_written(
    tmp_path: Path, keys: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        utterances(tmp_path / "corpus", **keys)  # type: ignore[arg-type]
    assert not (tmp_path / "corpus").exists()


def test_the_config_page_holds_the_defaults_and_its_voices_are_apart() -> None:
    page = corpus_options({**yaml.safe_load(PAGE.read_text()), "root": "somewhere"})
    assert page.own == corpus_options({"name": "synthetic", "root": "somewhere"}).own
    assert len(set(TRAIN_VOICES)) == len(TRAIN_VOICES) >= 12
    variants = {name: {voice.partition("+")[2] for voice in page.own[f"{name}_voices"]} for name in SPLITS}
    assert not variants["train"] & (variants["dev"] | variants["test"])
    assert not variants["dev"] & variants["test"]
    espeak.check_voices([*TRAIN_VOICES, *DEV_VOICES, *TEST_VOICES])


def test_it_can_be_prepared_like_any_corpus(made: Path, tmp_path: Path, read_cuts: ReadCuts) -> None:
    options = corpus_options({"name": "synthetic", "root": str(made), **SMALL})
    prepared = prepare(options, tmp_path / "prepared")
    assert [prepared.summary["splits"][split]["utterances"] for split in SPLITS] == [3, 1, 2]
    cuts = read_cuts(prepared.train)
    assert [cut["supervisions"][0]["speaker"] for cut in cuts] == list(TRAIN_VOICES[:3])
    assert prepare(options, tmp_path / "prepared").reused
