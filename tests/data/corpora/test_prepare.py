"""Utterances -> cut manifests and a summary, on corpora of the adapter `folder` and `manifest`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from helpers.corpora import ReadCuts, Speak, Write
from helpers.downloads import Server, offer

from speechrnn.audio import load_audio
from speechrnn.core.errors import UserError
from speechrnn.data.corpora import CorpusOptions, corpus_options, yesno
from speechrnn.data.corpora.prepare import prepare
from speechrnn.text.normalisation import NormalisationOptions


@pytest.fixture
def corpus(tmp_path: Path, speak: Speak, write: Write) -> Path:
    """Two speakers, two utterances each, in three parts."""
    for split in ("train", "dev", "test"):
        for name in ("anna/1", "anna/2", "ben/1", "ben/2"):
            speak(tmp_path / "corpus" / split / f"{name}.wav", seconds=0.5)
            write(tmp_path / "corpus" / split / f"{name}.txt", "Sharks feed,\nfish feed.")
    return tmp_path / "corpus"


def options(root: Path, **changes: object) -> CorpusOptions:
    return corpus_options({"name": "folder", "root": root, "speaker_from_folder": True, **changes})


def test_the_cuts_are_lhotses_and_the_summary_counts_them(corpus: Path, tmp_path: Path) -> None:
    from lhotse import CutSet
    from lhotse.qa import validate

    prepared = prepare(options(corpus), tmp_path / "out")
    cuts = CutSet.from_file(prepared.train)
    validate(cuts, read_data=True)
    (first, *rest) = cuts
    (supervision,) = first.supervisions
    assert (first.duration, first.recording.sampling_rate, first.recording.num_samples) == (0.5, 8000, 4000)
    assert (supervision.text, supervision.speaker) == ("SHARKS FEED FISH FEED", "anna")
    assert supervision.id == first.id
    assert len(rest) == 3
    samples, _ = load_audio(first.recording.sources[0].source, start=first.start, duration=first.duration)
    assert samples.shape == (4000,)
    for split in ("train", "dev", "test"):
        part = prepared.summary["splits"][split]
        assert part["hours"] == pytest.approx(2 / 3600)
        assert {key: part[key] for key in ("utterances", "speakers", "words")} == {
            "utterances": 4,
            "speakers": 2,
            "words": 16,
        }
    assert json.loads((tmp_path / "out/summary.json").read_text()) == prepared.summary
    assert prepared.describe()[0] == "train: 4 utterances, 0.00 h, 2 speakers, 16 words"


def test_a_corpus_that_names_no_speakers_has_no_number_of_them(corpus: Path, tmp_path: Path) -> None:
    prepared = prepare(options(corpus, speaker_from_folder=False), tmp_path / "out")
    assert prepared.describe()[0] == "train: 4 utterances, 0.00 h, 16 words"


def test_ids_are_distinct_in_the_whole_corpus(corpus: Path, tmp_path: Path, read_cuts: ReadCuts) -> None:
    prepared = prepare(options(corpus), tmp_path / "out")
    ids = [cut["id"] for path in (prepared.train, prepared.dev, prepared.test) for cut in read_cuts(path)]
    assert len(set(ids)) == len(ids) == 12
    assert [cut["id"] for cut in read_cuts(prepared.test)] == ["anna/1", "anna/2", "ben/1", "ben/2"]


def test_the_normalisation_asked_for_is_used(corpus: Path, tmp_path: Path, read_cuts: ReadCuts) -> None:
    prepared = prepare(options(corpus), tmp_path / "out", NormalisationOptions(case="lower", punctuation="keep"))
    assert read_cuts(prepared.dev)[0]["supervisions"][0]["text"] == "sharks feed, fish feed."
    assert prepared.summary["normalisation"]["case"] == "lower"


def test_bad_utterances_are_left_out_and_named(corpus: Path, tmp_path: Path, speak: Speak, write: Write) -> None:
    train = corpus / "train" / "anna"
    speak(train / "short.wav", seconds=0.05)
    speak(train / "long.wav", seconds=3)
    write(train / "broken.wav", "this is text")
    speak(train / "marks.wav")
    for name in ("short", "long", "broken"):
        write(train / f"{name}.txt", "fish")
    write(train / "marks.txt", "?!")
    speak(corpus / "test" / "anna" / "long.wav", seconds=3)
    write(corpus / "test" / "anna" / "long.txt", "fish")
    prepared = prepare(options(corpus, max_seconds=2.0), tmp_path / "out")
    rejected = {item["id"]: item for item in prepared.summary["splits"]["train"]["rejected"]["utterances"]}
    assert {name: item["reason"] for name, item in rejected.items()} == {
        "anna/short": "shorter than 0.1 s",
        "anna/long-2": "longer than 2 s",
        "anna/broken": "unreadable audio",
        "anna/marks": "empty transcript",
    }
    assert "broken.wav" in rejected["anna/broken"]["detail"]
    assert rejected["anna/short"]["detail"] == "0.050 s"
    assert prepared.summary["splits"]["train"]["utterances"] == 4
    # a test set is never shortened by max_seconds
    assert prepared.summary["splits"]["test"]["utterances"] == 5


def test_an_unchanged_corpus_is_reused_and_a_changed_one_is_not(corpus: Path, tmp_path: Path, write: Write) -> None:
    out = tmp_path / "out"
    first = prepare(options(corpus), out)
    assert not first.reused
    times = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    second = prepare(options(corpus), out)
    assert second.reused
    assert second.summary == first.summary
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == times

    assert not prepare(options(corpus, min_seconds=0.2), out).reused
    assert not prepare(options(corpus), out, NormalisationOptions(case="keep")).reused
    assert not prepare(options(corpus), out).reused
    write(corpus / "dev/ben/2.txt", "another text")
    assert not prepare(options(corpus), out).reused
    os.utime(corpus / "dev/ben/2.wav", ns=(1, 1))
    assert not prepare(options(corpus), out).reused
    assert prepare(options(corpus), out).reused


def test_an_incomplete_folder_is_made_again(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    path = prepare(options(corpus), out).dev
    assert path is not None
    whole = path.read_bytes()
    path.unlink()
    assert not prepare(options(corpus), out).reused
    assert path.read_bytes() == whole  # and byte for byte the same
    (out / "summary.json").write_text('{"fingerprint"')
    assert not prepare(options(corpus), out).reused


def test_a_part_that_is_gone_leaves_no_cuts_behind(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert prepare(options(corpus), out).test is not None
    (corpus / "test").rename(tmp_path / "away")
    prepared = prepare(options(corpus), out)
    assert prepared.test is None
    assert sorted(path.name for path in out.iterdir()) == ["cuts_dev.jsonl.gz", "cuts_train.jsonl.gz", "summary.json"]


def test_dev_is_held_out_by_speaker_only_where_there_is_none(corpus: Path, tmp_path: Path, read_cuts: ReadCuts) -> None:
    assert prepare(options(corpus), tmp_path / "published").summary["dev_held_out_by"] is None
    (corpus / "dev").rename(tmp_path / "away")
    prepared = prepare(options(corpus, dev_fraction=0.3), tmp_path / "held")
    speakers = [
        {cut["supervisions"][0]["speaker"] for cut in read_cuts(path)} for path in (prepared.train, prepared.dev)
    ]
    assert sorted(map(sorted, speakers)) == [["anna"], ["ben"]]
    assert prepared.summary["dev_held_out_by"] == "speaker"
    assert prepare(options(corpus, dev_fraction=0), tmp_path / "none").dev is None


def test_an_utterance_listed_twice_stays_in_the_test_part(tmp_path: Path, speak: Speak, write: Write) -> None:
    speak(tmp_path / "a.wav")
    speak(tmp_path / "b.wav")
    row = {"audio_filepath": "a.wav", "text": "a"}
    write(tmp_path / "train.jsonl", "\n".join(json.dumps(r) for r in (row, {"audio_filepath": "b.wav", "text": "b"})))
    write(tmp_path / "test.jsonl", json.dumps(row))
    config = {"name": "manifest", "root": tmp_path, "train": ["train.jsonl"], "test": ["test.jsonl"]}
    splits = prepare(corpus_options(config), tmp_path / "out").summary["splits"]
    assert splits["test"]["utterances"] == splits["train"]["utterances"] == 1
    assert splits["train"]["rejected"]["reasons"] == {"listed twice": 1}


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        ({}, (0.0, 1.0)),
        ({"duration": 1.04}, (0.0, 1.0)),  # rounded up by whoever wrote the manifest
        ({"duration": 0.97}, (0.0, 1.0)),
        ({"duration": 0.5}, (0.0, 0.5)),
        ({"offset": 0.25}, (0.25, 0.75)),
        ({"offset": 0.25, "duration": 0.5}, (0.25, 0.5)),
        ({"offset": 0.75, "duration": 0.3}, (0.75, 0.25)),
        ({"offset": 0.75, "duration": 2}, "outside the audio"),
        ({"offset": 1.0}, "outside the audio"),
    ],
)
def test_pieces_of_a_file_lie_within_it(
    tmp_path: Path, speak: Speak, write: Write, read_cuts: ReadCuts, row: dict[str, float], outcome: object
) -> None:
    speak(tmp_path / "a.wav", seconds=1.0)
    speak(tmp_path / "b.wav")
    rows = [{"audio_filepath": "a.wav", "text": "a", **row}, {"audio_filepath": "b.wav", "text": "b"}]
    write(tmp_path / "train.jsonl", "\n".join(map(json.dumps, rows)))
    prepared = prepare(
        corpus_options({"name": "manifest", "root": tmp_path, "dev_fraction": 0, "train": ["train.jsonl"]}),
        tmp_path / "o",
    )
    rejected = prepared.summary["splits"]["train"]["rejected"]["utterances"]
    if isinstance(outcome, str):
        assert [item["reason"] for item in rejected] == [outcome]
    else:
        cut = read_cuts(prepared.train)[0]
        assert (cut["start"], cut["duration"]) == pytest.approx(outcome)
        assert not rejected


def test_several_channels_are_a_multicut(tmp_path: Path, speak: Speak, write: Write) -> None:
    from lhotse import CutSet, MultiCut
    from lhotse.qa import validate

    speak(tmp_path / "c/a.wav", channels=2)
    write(tmp_path / "c/a.txt", "a")
    cuts = CutSet.from_file(prepare(CorpusOptions("folder", tmp_path / "c"), tmp_path / "o").train)
    validate(cuts, read_data=True)
    (cut,) = cuts
    assert isinstance(cut, MultiCut)
    assert cut.channel == [0, 1]


def test_nothing_left_says_what_was_looked_for_and_why(tmp_path: Path, speak: Speak) -> None:
    speak(tmp_path / "corpus/a.wav")
    speak(tmp_path / "corpus/b.wav")
    with pytest.raises(UserError) as error:
        prepare(CorpusOptions("folder", tmp_path / "corpus"), tmp_path / "out")
    message = str(error.value)
    assert message.startswith(f"None of the 2 utterances of the corpus folder in {tmp_path / 'corpus'} can be used")
    assert "(audio without transcript 2); the first is " in message
    assert "each beside a text file of the same name" in message
    assert "empty" not in message
    assert not (tmp_path / "out").exists()


def test_the_only_utterance_is_named_with_its_reason(tmp_path: Path, speak: Speak, write: Write) -> None:
    speak(tmp_path / "corpus/a.wav")
    write(tmp_path / "corpus/a.txt", "")
    with pytest.raises(UserError, match=r"The only utterance .* cannot be used: .*a\.wav: empty transcript") as error:
        prepare(CorpusOptions("folder", tmp_path / "corpus"), tmp_path / "out")
    assert "layout" not in str(error.value)


def test_a_corpus_without_a_line_is_empty(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "corpus/metadata.csv", "\n")
    (tmp_path / "corpus/wavs").mkdir()
    with pytest.raises(UserError, match=r"The corpus ljspeech is empty: looked for .*, and found no utterance"):
        prepare(CorpusOptions("ljspeech", tmp_path / "corpus"), tmp_path / "out")


def test_what_cannot_be_downloaded_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"The corpus folder has nothing to download; set corpus\.download=false"):
        prepare(CorpusOptions("folder", tmp_path, download=True), tmp_path / "out")
    with pytest.raises(UserError, match=r"corpus\.download=true needs corpus\.root"):
        prepare(CorpusOptions("yesno", download=True), tmp_path / "out")


def test_an_output_folder_that_cannot_be_written(corpus: Path, tmp_path: Path, write: Write) -> None:
    with pytest.raises(UserError, match="Cannot write"):
        prepare(options(corpus), write(tmp_path / "file", "") / "out")


def test_a_name_that_is_no_utf8_is_left_out_alone(tmp_path: Path, speak: Speak, write: Write) -> None:
    for name in ("good", "caf\udce9"):
        try:
            speak(tmp_path / "a.wav").rename(tmp_path / f"corpus-{name}.wav")
        except OSError:
            pytest.skip("this file system takes UTF-8 names only")
        write(tmp_path / f"corpus-{name}.txt", "yes it is")
    prepared = prepare(CorpusOptions("folder", tmp_path, dev_fraction=0), tmp_path / "out")
    train = prepared.summary["splits"]["train"]
    assert (train["utterances"], train["rejected"]["reasons"]) == (1, {"unreadable audio": 1})
    assert json.loads((tmp_path / "out/summary.json").read_text()) == prepared.summary


@pytest.mark.integration
def test_download_true_prepares_from_nothing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speak: Speak
) -> None:
    names = ["0_0", "0_1", "1_0", "1_1"]
    audio = {f"waves_yesno/{n}.wav": speak(tmp_path / "made" / f"{n}.wav").read_bytes() for n in names}
    archive = offer(server, audio, creates="waves_yesno")
    monkeypatch.setattr(yesno, "ARCHIVE", archive)
    options = CorpusOptions("yesno", tmp_path / "root", download=True, dev_fraction=0)
    first = prepare(options, tmp_path / "out")
    assert first.summary["splits"]["train"]["words"] == 4
    again = prepare(options, tmp_path / "out")
    assert again.reused
    assert len(server.asked) == 1
