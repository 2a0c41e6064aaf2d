from __future__ import annotations

import gzip
import json
import unicodedata
from pathlib import Path
from typing import Any, Literal

import pytest
from helpers.corpora import ReadCuts, Speak, Write

from speechrnn.core.errors import UserError
from speechrnn.data.corpora import CorpusOptions, corpus_options
from speechrnn.data.corpora.manifest import utterances
from speechrnn.data.corpora.prepare import prepare


def test_nemo_json_lines(tmp_path: Path, speak: Speak, write: Write) -> None:
    speak(tmp_path / "audio/a.wav", seconds=1.0)
    rows = [
        {"audio_filepath": "audio/a.wav", "duration": 1.0, "text": "whole"},
        {"audio_filepath": "audio/a.wav", "duration": 0.25, "offset": 0.5, "text": "part", "speaker": 7, "id": "p"},
    ]
    path = write(tmp_path / "train.jsonl", "\n\n".join(map(json.dumps, rows)))
    first, second = utterances(None, train=[str(path)])["train"]
    assert (first.id, first.audio, first.text, first.start, first.duration) == (
        "a",
        tmp_path / "audio/a.wav",
        "whole",
        0,
        1,
    )
    assert (second.id, second.speaker, second.start, second.duration) == ("p", "7", 0.5, 0.25)


@pytest.mark.parametrize(("suffix", "delimiter"), [(".csv", ","), (".tsv", "\t")])
def test_tables_with_a_header(tmp_path: Path, write: Write, suffix: str, delimiter: str) -> None:
    rows = [["wav_filename", "transcript", "duration"], ["x.wav", '"a ""quoted"" word"', "1.5"], ["y.wav", "b", ""]]
    path = write(tmp_path / f"t{suffix}", "\n".join(delimiter.join(row) for row in rows) + "\n")
    first, second = utterances(tmp_path, test=[path.name])["test"]
    assert (first.text, first.duration, second.duration) == ('a "quoted" word', 1.5, None)
    assert first.audio == tmp_path / "x.wav"


def test_lhotse_cuts_go_in_as_they_came_out(tmp_path: Path, speak: Speak, write: Write, read_cuts: ReadCuts) -> None:
    speak(tmp_path / "corpus/a.wav")
    write(tmp_path / "corpus/a.txt", "Yes.")
    speak(tmp_path / "corpus/both.wav", channels=2)
    write(tmp_path / "corpus/both.txt", "No.")
    first = prepare(CorpusOptions("folder", tmp_path / "corpus", dev_fraction=0), tmp_path / "first")
    options = corpus_options({"name": "manifest", "dev_fraction": 0, "train": [str(first.train)]})
    again = prepare(options, tmp_path / "again")
    assert read_cuts(again.train) == read_cuts(first.train)


def test_a_lhotse_cut_of_a_long_recording_gives_an_utterance_a_supervision(tmp_path: Path, speak: Speak) -> None:
    from lhotse import AudioSource, CutSet, MonoCut, Recording, SupervisionSegment

    speak(tmp_path / "call.wav", seconds=4, channels=2)
    source = AudioSource("file", [0, 1], str(tmp_path / "call.wav"))
    recording = Recording("call", [source], 8000, 32000, 4.0, [0, 1])
    segments = [
        SupervisionSegment(f"s{n}", "call", start, 1.0, 1, f"word {n}", speaker="b")
        for n, start in ((1, 0.5), (2, 1.5))
    ]
    cut = MonoCut("long", 1.0, 3.0, 1, segments, recording=recording)
    CutSet.from_cuts([cut]).to_file(tmp_path / "cuts.jsonl.gz")
    found = utterances(tmp_path, train=["cuts.jsonl.gz"])["train"]
    assert [(u.id, u.text, u.start, u.duration, u.channel, u.speaker) for u in found] == [
        ("s1", "word 1", 1.5, 1.0, 1, "b"),
        ("s2", "word 2", 2.5, 1.0, 1, "b"),
    ]
    prepared = prepare(
        corpus_options({"name": "manifest", "root": tmp_path, "dev_fraction": 0, "train": ["cuts.jsonl.gz"]}),
        tmp_path / "p",
    )
    cuts = list(CutSet.from_file(prepared.train))
    assert [(c.id, c.start, c.channel, c.load_audio().shape) for c in cuts] == [
        ("s1", 1.5, 1, (1, 8000)),
        ("s2", 2.5, 1, (1, 8000)),
    ]


GOOD: dict[str, Any] = {"audio_filepath": "a.wav", "text": "a"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{'audio_filepath': 'a.wav'}", r"train\.jsonl, line 2 is no JSON .*at column 2"),
        ("[1]", r"line 2 must be a JSON object"),
        (
            json.dumps({"audio_filepath": "a.wav", "txt": "a"}),
            r"line 2: the key text is missing among audio_filepath, txt; did you mean txt\?",
        ),
        (json.dumps({"text": "a"}), r"line 2: the key audio_filepath is missing among text"),
        (json.dumps({**GOOD, "duration": "long"}), r"line 2: duration must be a number of seconds, not 'long'"),
        (json.dumps({**GOOD, "offset": -1}), r"line 2: offset must be a number of seconds, not -1"),
        (json.dumps({**GOOD, "text": 5}), r"line 2: text must be a string, not 5"),
        (json.dumps({**GOOD, "audio_filepath": ""}), r"line 2: audio_filepath must be the path of a file"),
        (json.dumps({"type": "MixedCut", "tracks": []}), r"line 2: a lhotse MixedCut cannot be used"),
        (json.dumps({"type": "MonoCut", "supervisions": []}), r"line 2: the lhotse cut has no key 'recording'"),
    ],
)
def test_bad_lines_have_their_number(tmp_path: Path, write: Write, line: str, message: str) -> None:
    write(tmp_path / "train.jsonl", json.dumps(GOOD) + "\n" + line + "\n")
    with pytest.raises(UserError, match=message):
        utterances(tmp_path, train=["train.jsonl"])


def test_bad_files(tmp_path: Path, write: Write) -> None:
    with pytest.raises(UserError, match=r"needs at least one file, as in corpus\.train=\[train\.jsonl\]"):
        utterances(tmp_path)
    with pytest.raises(UserError, match=r"gone\.jsonl does not exist"):
        utterances(tmp_path, train=["gone.jsonl"])
    write(tmp_path / "t.xml", "")
    with pytest.raises(UserError, match=r"t\.xml must end in \.jsonl, \.json, \.csv or \.tsv"):
        utterances(tmp_path, train=["t.xml"])
    write(tmp_path / "t.csv", "audio_filepath,words\n")
    with pytest.raises(UserError, match=r"t\.csv, line 1: the header has no column text"):
        utterances(tmp_path, train=["t.csv"])
    write(tmp_path / "t.csv", "audio_filepath,text\n\na.wav,a,b\n")
    with pytest.raises(UserError, match=r"t\.csv, line 3: 3 columns where the header has 2"):
        utterances(tmp_path, train=["t.csv"])
    whole = gzip.compress(json.dumps(GOOD).encode() * 50)
    (tmp_path / "t.jsonl.gz").write_bytes(whole[:-12])
    with pytest.raises(UserError, match=r"t\.jsonl\.gz cannot be read after line 0"):
        utterances(tmp_path, train=["t.jsonl.gz"])


def test_audio_is_found_beside_the_manifest_then_under_the_root(tmp_path: Path, speak: Speak, write: Write) -> None:
    write(tmp_path / "lists/train.jsonl", json.dumps({**GOOD, "audio_filepath": "b.wav"}))
    speak(tmp_path / "b.wav")
    assert utterances(tmp_path, train=["lists/train.jsonl"])["train"][0].audio == tmp_path / "b.wav"
    speak(tmp_path / "lists/b.wav")
    assert utterances(tmp_path, train=["lists/train.jsonl"])["train"][0].audio == tmp_path / "lists/b.wav"


def test_a_manifest_is_found_under_the_root_then_in_the_working_folder(
    tmp_path: Path, speak: Speak, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "corpus"
    speak(root / "a.wav")
    speak(root / "b.wav")
    write(tmp_path / "mine.jsonl", json.dumps({**GOOD, "audio_filepath": "b.wav"}))
    assert utterances(root, train=["mine.jsonl"])["train"][0].audio == root / "b.wav"
    write(root / "mine.jsonl", json.dumps({**GOOD, "audio_filepath": "a.wav"}))
    assert utterances(root, train=["mine.jsonl"])["train"][0].audio == root / "a.wav"
    with pytest.raises(UserError, match=r"corpus.gone\.jsonl does not exist; .*corpus\.root or the working folder"):
        utterances(root, train=["gone.jsonl"])


DIGITS = "1" * 400


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[" * 50_000, "nested too deep"),
        ('{"audio_filepath": "a.wav", "text": ' + '{"a":' * 50_000, "nested too deep"),
        (
            '{"audio_filepath": "a.wav", "text": "x", "offset": ' + "1" * 5_000 + "}",
            "(thousands of digits|number of sec)",
        ),
        (f'{{"audio_filepath": "a.wav", "text": "x", "offset": {DIGITS}}}', "offset must be a number of seconds"),
        (f'{{"audio_filepath": "a.wav", "text": "x", "duration": -{DIGITS}}}', "duration must be a number of seconds"),
        (json.dumps({**GOOD, "duration": True}), "duration must be a number of seconds"),
        (json.dumps({**GOOD, "duration": float("nan")}), "duration must be a number of seconds"),
        (json.dumps({**GOOD, "audio_filepath": "~nosuchuser/a.wav"}), "there is no user ~nosuchuser"),
        (json.dumps({**GOOD, "audio_filepath": "a\0.wav"}), "audio_filepath must be the path of a file"),
        (json.dumps({**GOOD, "audio_filepath": "\ud800.wav"}), "audio_filepath is no Unicode text"),
        (json.dumps({**GOOD, "text": "\ud800"}), "text is no Unicode text"),
        (json.dumps({**GOOD, "audio_filepath": "b" * 300}), "are the columns swapped"),
        (json.dumps({"audio_filepath": "HELLO", "text": "a.wav"}), "are the columns audio_filepath and text swapped"),
    ],
)
def test_hostile_lines_are_one_short_sentence(tmp_path: Path, write: Write, line: str, message: str) -> None:
    write(tmp_path / "train.jsonl", json.dumps(GOOD) + "\n" + line + "\n")
    with pytest.raises(UserError, match=rf"train\.jsonl, line 2.*{message}") as error:
        utterances(tmp_path, train=["train.jsonl"])
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.jsonl", ""), ("a.json", "\n\n"), ("a.csv", "audio_filepath,text\n"), ("a.tsv", "path\tsentence\n\n")],
)
@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_a_manifest_without_a_recording_is_named(
    tmp_path: Path, write: Write, name: str, text: str, split: Literal["train", "dev", "test"]
) -> None:
    path = write(tmp_path / name, text)
    good = write(tmp_path / "good.jsonl", json.dumps({"audio_filepath": "a.wav", "text": "a"}))
    with pytest.raises(UserError, match=rf"The manifest {path} lists no recording\."):
        utterances(None, **{split: [str(good), str(path)]})  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_a_quotation_mark_that_is_not_closed_names_its_line(tmp_path: Path, write: Write, suffix: str) -> None:
    delimiter = "," if suffix == ".csv" else "\t"
    rows = [["audio_filepath", "text"], ["a.wav", "yes"], ["b.wav", '"hello'], ["c.wav", 'you"']]
    write(tmp_path / f"t{suffix}", "\n".join(map(delimiter.join, rows)) + "\n")
    with pytest.raises(UserError, match=rf"t{suffix}, line 3: a quotation mark opens a cell"):
        utterances(tmp_path, train=[f"t{suffix}"])


def test_quotation_marks_in_tsv_are_text(tmp_path: Path, write: Write) -> None:
    texts = ['"Hello," she said', 'the 5" disk', '"Yes" or "no"']
    write(tmp_path / "t.tsv", "audio_filepath\ttext\n" + "".join(f"a.wav\t{text}\n" for text in texts))
    assert [utterance.text for utterance in utterances(tmp_path, train=["t.tsv"])["train"]] == texts


@pytest.mark.parametrize("damage", [(-6, 0xFF), (20, 0xFF), (0, 0x00)])
def test_damaged_gzip(tmp_path: Path, damage: tuple[int, int]) -> None:
    rows = "".join(json.dumps({**GOOD, "text": f"text {number * 7919}"}) + "\n" for number in range(200))
    data = bytearray(gzip.compress(rows.encode()))
    data[damage[0]] ^= damage[1] or 0x55
    (tmp_path / "t.jsonl.gz").write_bytes(data)
    with pytest.raises(UserError, match=r"t\.jsonl\.gz"):
        utterances(tmp_path, train=["t.jsonl.gz"])


def test_byte_order_marks_are_no_text(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "t.jsonl", "\ufeff" + json.dumps(GOOD) + "\r\n\ufeff" + json.dumps(GOOD) + "\r\n")
    assert [utterance.text for utterance in utterances(tmp_path, train=["t.jsonl"])["train"]] == ["a", "a"]


@pytest.mark.parametrize(("written", "stored"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_composed_and_decomposed_names_meet(
    tmp_path: Path, speak: Speak, write: Write, written: Literal["NFC", "NFD"], stored: Literal["NFC", "NFD"]
) -> None:
    name = "z\u00fcrich/caf\u00e9.wav"
    path = speak(tmp_path / unicodedata.normalize(stored, name))
    row = {**GOOD, "audio_filepath": unicodedata.normalize(written, name)}
    write(tmp_path / "t.jsonl", json.dumps(row, ensure_ascii=False))
    assert utterances(tmp_path, train=["t.jsonl"])["train"][0].audio.samefile(path)


def multicut(channels: list[object], start: float = 0.0) -> str:
    supervisions = [
        {"id": f"s{number}", "start": start, "duration": 1.0, "text": f"word {number}", "channel": channel}
        for number, channel in enumerate(channels)
    ]
    source = {"type": "file", "source": "call.wav", "channels": [0, 1]}
    recording = {"id": "call", "channel_ids": [0, 1], "sources": [source]}
    cut = {"type": "MultiCut", "id": "call", "start": 0.0, "duration": 2.0, "channel": [0, 1]}
    return json.dumps({**cut, "supervisions": supervisions, "recording": recording})


def test_a_multicut_has_the_channels_of_its_supervisions(tmp_path: Path, speak: Speak, write: Write) -> None:
    speak(tmp_path / "call.wav", seconds=2, channels=2)
    write(tmp_path / "cuts.jsonl", multicut([0, [1], [0, 1]]))
    found = utterances(tmp_path, train=["cuts.jsonl"])["train"]
    assert [utterance.channel for utterance in found] == [0, 1, None]
    options = corpus_options({"name": "manifest", "root": tmp_path, "dev_fraction": 0, "train": ["cuts.jsonl"]})
    assert prepare(options, tmp_path / "prepared").summary["splits"]["train"]["utterances"] == 3


@pytest.mark.parametrize("line", [multicut([7]), multicut([0], start=float("inf")), multicut(["left"])])
def test_a_damaged_cut_names_its_line(tmp_path: Path, write: Write, line: str) -> None:
    write(tmp_path / "cuts.jsonl", line)
    with pytest.raises(UserError, match=r"cuts\.jsonl, line 1: the lhotse cut is damaged"):
        utterances(tmp_path, train=["cuts.jsonl"])


def test_parts_beyond_the_audio_are_left_out_alone(tmp_path: Path, speak: Speak, write: Write) -> None:
    speak(tmp_path / "a.wav", seconds=1.0)
    rows = [GOOD, {**GOOD, "offset": 1e300}, {**GOOD, "offset": 0.2, "duration": 0.0}, {**GOOD, "duration": 1e9}]
    write(tmp_path / "t.jsonl", "\n".join(map(json.dumps, rows)))
    options = corpus_options(
        {"name": "manifest", "root": tmp_path, "dev_fraction": 0, "min_seconds": 0, "train": ["t.jsonl"]}
    )
    train = prepare(options, tmp_path / "prepared").summary["splits"]["train"]
    assert (train["utterances"], train["rejected"]["count"]) == (1, 3)


def test_a_file_that_two_manifests_name_in_two_ways_is_one(tmp_path: Path, speak: Speak, write: Write) -> None:
    """Otherwise the training would hold the test utterances."""
    for number in range(4):
        speak(tmp_path / f"audio/{number}.wav", seconds=0.5 + number / 10)
    (tmp_path / "link").symlink_to(tmp_path / "audio")
    train = [{"audio_filepath": f"audio/{number}.wav", "text": f"word {number}"} for number in range(4)]
    write(tmp_path / "train.jsonl", "\n".join(map(json.dumps, train)))
    test = [
        {"audio_filepath": "../audio/0.wav", "text": "word 0"},
        {"audio_filepath": "../link/1.wav", "text": "word 1"},
    ]
    write(tmp_path / "lists/test.jsonl", "\n".join(map(json.dumps, test)))
    config = {"name": "manifest", "root": tmp_path, "train": ["train.jsonl"], "test": ["lists/test.jsonl"]}
    splits = prepare(corpus_options({**config, "dev_fraction": 0}), tmp_path / "out").summary["splits"]
    assert splits["test"]["utterances"] == splits["train"]["utterances"] == 2
    assert splits["train"]["rejected"]["reasons"] == {"listed twice": 2}


def test_segments_of_a_recording_are_held_out_together(
    tmp_path: Path, speak: Speak, write: Write, read_cuts: ReadCuts
) -> None:
    """Without names of speakers, a voice and its room would be in training and in dev."""
    rows = []
    for call in range(6):
        speak(tmp_path / f"{call}.wav", seconds=4.0 + call / 10)
        rows += [
            {"audio_filepath": f"{call}.wav", "text": f"say {call} {part}", "offset": part, "duration": 1.0}
            for part in range(4)
        ]
    write(tmp_path / "train.jsonl", "\n".join(map(json.dumps, rows)))
    config = {"name": "manifest", "root": tmp_path, "train": ["train.jsonl"], "dev_fraction": 0.3}
    prepared = prepare(corpus_options(config), tmp_path / "out")
    train, dev = (
        {cut["recording"]["sources"][0]["source"] for cut in read_cuts(path)} for path in (prepared.train, prepared.dev)
    )
    assert len(dev) == 2 and not train & dev
    assert prepared.summary["dev_held_out_by"] == "recording"
    assert prepared.summary["shared_with_train"]["dev"]["recordings"] == 0
    write(tmp_path / "test.jsonl", json.dumps({**rows[0], "offset": 0.5}))
    several = prepare(corpus_options({**config, "dev_fraction": 0, "test": ["test.jsonl"]}), tmp_path / "several")
    assert "1 utterance has a recording that train has too" in "".join(several.describe())


def test_the_hypotheses_of_a_job_are_pseudo_labels(
    tmp_path: Path, speak: Speak, write: Write, read_cuts: ReadCuts
) -> None:
    speak(tmp_path / "call.wav", channels=2)
    speak(tmp_path / "talk.wav")
    rows: list[dict[str, Any]] = [
        {"id": "call.channel1", "audio": "call.wav", "hypothesis": "yes", "confidence": 0.8, "words": [], "channel": 1},
        {"id": "talk", "audio": "talk.wav", "hypothesis": "no", "confidence": 0.6, "words": []},
        {"id": "sure", "audio": "talk.wav", "hypothesis": "no", "confidence": None, "words": []},
        {"id": "damaged", "audio": "call.wav", "hypothesis": "no", "confidence": 0.9, "channel": -1},
    ]
    path = str(write(tmp_path / "hypotheses.jsonl", "\n".join(map(json.dumps, rows))))
    options = corpus_options({"name": "manifest", "dev_fraction": 0, "train": [path], "min_confidence": 0.7})
    prepared = prepare(options, tmp_path / "prepared")
    cuts = [(cut["id"], cut["supervisions"][0]["text"], cut["channel"]) for cut in read_cuts(prepared.train)]
    assert cuts == [("call.channel1", "YES", 1), ("sure", "NO", 0)]
    reasons = prepared.summary["splits"]["train"]["rejected"]["reasons"]
    assert reasons == {"confidence below 0.7": 1, "outside the audio": 1}
    of_dev = utterances(None, train=[path], dev=[path], min_confidence=0.7)["dev"]
    assert [row.left_out for row in of_dev] == [None] * 4


@pytest.mark.parametrize("confidence", [-0.1, 1.5, "much", "nan", [0.5]])
def test_a_confidence_that_is_none_is_named(tmp_path: Path, write: Write, confidence: Any) -> None:
    row = {"audio_filepath": "a.wav", "text": "a", "confidence": confidence}
    path = write(tmp_path / "train.jsonl", json.dumps(row))
    with pytest.raises(UserError, match=r"train.jsonl, line 1: confidence must be a number from 0 to 1"):
        utterances(None, train=[str(path)], min_confidence=0.5)
    assert utterances(None, train=[str(path)])["train"][0].text == "a"  # of any scale where it is not used


@pytest.mark.parametrize("least", [-0.5, 1.5, float("nan")])
def test_a_least_confidence_that_is_none_is_named(least: float) -> None:
    with pytest.raises(UserError, match=r"corpus\.min_confidence"):
        utterances(None, train=["train.jsonl"], min_confidence=least)


def test_what_a_model_has_recognised_is_not_held_out_as_dev(tmp_path: Path, speak: Speak, write: Write) -> None:
    names = [f"{kind}{number}" for kind in ("spoken", "guessed") for number in range(20)]
    for number, name in enumerate(names):
        speak(tmp_path / f"{name}.wav", seconds=0.5 + number / 100)
    key = {"spoken": "text", "guessed": "hypothesis"}
    for kind in key:
        rows = [{"audio": f"{name}.wav", key[kind]: f"word {name}"} for name in names if name.startswith(kind)]
        write(tmp_path / f"{kind}.jsonl", "\n".join(map(json.dumps, rows)))
    manifests = [str(tmp_path / f"{kind}.jsonl") for kind in key]
    options = corpus_options({"name": "manifest", "dev_fraction": 0.4, "train": manifests})
    both = prepare(options, tmp_path / "both")
    assert both.summary["splits"]["dev"]["utterances"] == 8  # of the 20 that were transcribed
    assert both.summary["splits"]["train"]["utterances"] == 32
    alone = corpus_options({"name": "manifest", "dev_fraction": 0.4, "train": manifests[1:]})
    assert prepare(alone, tmp_path / "alone").summary["splits"]["dev"]["utterances"] == 8
