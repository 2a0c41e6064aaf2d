"""The report of a run: a whole page that loads nothing, shows the run's numbers, and stands whatever is missing."""

from __future__ import annotations

import base64
import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from helpers.html_page import Page, table

from speechrnn.audio import save_audio
from speechrnn.audio.features import FeatureOptions
from speechrnn.core.errors import UserError
from speechrnn.evaluation.metrics import score
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions, save_acoustic
from speechrnn.reports.speech import write_report
from speechrnn.text.tokenizers import CharTokenizer

RATE = 8000
HISTORY = [
    {"epoch": 1, "step": 5, "train_loss": 2.5, "dev_loss": 2.6, "dev_wer": 1.25, "dev_cer": 0.8},
    {"epoch": 2, "step": 10, "train_loss": 0.5, "dev_loss": 0.75, "dev_wer": 0.25, "dev_cer": 0.0},
]
TEXTS = [("red shark", "red shark"), ("blue fish eat it", "blue dish eat it a"), ("one two three", "three")]


def make_run(
    folder: Path,
    texts: Sequence[tuple[str, str]] = TEXTS,
    history: list[Any] = HISTORY,
    model: bool = True,
    seconds: float = 1.0,
) -> list[dict[str, Any]]:
    """A run folder, with a tiny model or without, and a tone for each (reference, hypothesis); gives back the rows."""
    if model:
        make_model(folder, texts, history)
    rows: list[dict[str, Any]] = []
    for number, (reference, hypothesis) in enumerate(texts):
        path, duration = folder / "audio" / f"{number}.wav", seconds + number / 4
        time = np.arange(round(duration * RATE)) / RATE
        save_audio(path, 0.5 * np.sin(2 * np.pi * 300 * (number + 1) * time), RATE)
        row = {"id": f"utterance-{number}", "audio": str(path), "duration": duration, "confidence": 0.875}
        rows.append({**row, "reference": reference, "hypothesis": hypothesis, "words": [], "decoding": "greedy"})
    write_rows(folder, rows)
    total = sum(row["duration"] for row in rows)
    write_json(folder / "metrics.json", {"decode": {"greedy": {**score(rows), "audio_seconds": total, "rtf": 0.004}}})
    rejected = {
        "count": 1,
        "reasons": {"silent": 1},
        "utterances": [{"id": "mute", "audio": "mute.wav", "reason": "silent", "detail": "only zeros"}],
    }
    part = {"utterances": 1234, "hours": 2.5, "speakers": 7, "words": 98765, "rejected": rejected}
    write_json(
        folder / "prepared" / "summary.json",
        {"corpus": "folder", "dev_held_out_by": "speaker", "splits": {"train": part}},
    )
    (folder / "config.yaml").write_text("trainer:\n  epochs: 2\n", encoding="utf-8")
    return rows


def make_model(folder: Path, texts: Sequence[tuple[str, str]], history: list[Any]) -> None:
    torch.manual_seed(0)
    tokenizer = CharTokenizer.build([text for pair in texts for text in pair])
    options = AcousticOptions(layers=1, units=16, stride=2, subsampling="stack")
    network = AcousticModel(len(tokenizer), FeatureOptions(sampling_rate=RATE, bins=20), options)
    training = {
        "epochs": 2,
        "best_epoch": 2,
        "parameters": 4_560_000,
        "left_out": [{"id": "tiny", "frames": 3, "needed": 4}],
        "seconds": {"data": 10.0, "step": 60.0, "evaluation": 30.0},
        "history": history,
    }
    save_acoustic(folder / "acoustic", network, tokenizer, training)


def write_rows(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "hypotheses.jsonl").write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "my run"
    make_run(folder)
    assert write_report(folder) == folder / "report.html"
    return folder


@pytest.fixture(scope="module")
def page(run: Path) -> Page:
    return Page(run / "report.html")


def test_loads_nothing_and_runs_nothing(page: Page) -> None:
    assert "://" not in page.source
    assert not {"script", "link", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.elements}
    references = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "poster", "srcset", "data", "action")
    ]
    assert len(references) > 6  # players and pictures
    assert all(value.startswith(("data:", "#")) for value in references)
    assert "url(" not in page.source.replace("url(#", "")
    policy = next(meta for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"].startswith("default-src 'none'")


def test_identifiers_are_unique_and_found(page: Page) -> None:
    identifiers = Counter(attributes["id"] for _, attributes in page.elements if "id" in attributes)
    assert identifiers and max(identifiers.values()) == 1
    used = {attributes["xlink:href"][1:] for attributes in page.all("use")}
    assert used <= identifiers.keys()


def test_shows_the_numbers_of_the_metrics(run: Path, page: Page) -> None:
    figures = json.loads((run / "metrics.json").read_text())["decode"]["greedy"]
    tiles = page.text("dd").split("\n")
    assert tiles[0] == f"{100 * figures['wer']:.2f}\u00a0%"
    assert tiles[1] == f"{100 * figures['cer']:.2f}\u00a0%"
    low, high = figures["wer_ci95"]
    notes = page.text("small").split("\n")
    assert notes[0] == f"95\u00a0%: {100 * low:.2f}\u00a0% to {100 * high:.2f}\u00a0%"
    assert tiles[2:] == ["3", "0.004", "4.56 M", "1.7\u00a0min"]
    assert notes[1:5] == ["9 words, 3.8\u00a0s", "250 × real time", f"{size(run):.1f} MB", "2 epochs"]
    assert page.text("title") == "my run"
    assert "corpus folder, decoding greedy" in page.text("p")


def size(run: Path) -> float:
    return (run / "acoustic" / "model.safetensors").stat().st_size / 1e6


def test_counts_errors_by_kind(page: Page) -> None:
    cells = table(page, "In the reference")
    # fish -> dish, + a; - one, - two
    assert cells[0] == ["Words", "9", "6", "1", "1", "2", "4", "44.44\u00a0%"]
    # f -> d, + space, + a; - "one two "
    assert cells[1] == ["Characters", "38", "29", "1", "2", "8", "11", "28.95\u00a0%"]
    assert ["fish", "dish", "1"] in table(page, "Most frequent substitutions")
    assert table(page, "Most frequent deletions") == [["one", "1"], ["two", "1"]]
    assert table(page, "Most frequent insertions") == [["a", "1"]]


def test_aligns_reference_and_hypothesis(page: Page) -> None:
    names = ("names", ["reference", "hypothesis"])
    second = [
        names,
        ("hit", ["blue", "blue"]),
        ("substitution", ["fish", "dish", "S"]),
        ("hit", ["eat", "eat"]),
        ("hit", ["it", "it"]),
        ("insertion", ["∗∗∗", "a", "I"]),
    ]
    third = [
        names,
        ("deletion", ["one", "∗∗∗", "D"]),
        ("deletion", ["two", "∗∗∗", "D"]),
        ("hit", ["three", "three"]),
    ]
    first = [names, ("hit", ["red", "red"]), ("hit", ["shark", "shark"])]
    # As many errors: the higher rate is the worse. Then the examples: right, middling, worst.
    assert [[edit for edit in block if edit[1]] for block in page.edits] == [third, second, first, second, third]
    assert page.text("code").split("\n")[:2] == ["utterance-2", "utterance-1"]
    assert "2 errors in 3 words · 1.5\u00a0s · confidence 0.88" in page.text("small")


def test_plays_each_utterance(page: Page) -> None:
    durations = []
    for player in page.all("audio"):
        kind, data = player["src"].split(",")
        assert kind == "data:audio/mpeg;base64" and "controls" in player
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(data)))
        assert np.abs(samples).max() > 0.3
        durations.append(len(samples) / rate)
    assert durations == pytest.approx([1.5, 1.25, 1.0, 1.25, 1.5], abs=0.15)  # mp3 pads with a frame or two


def test_plays_and_draws_only_the_part_of_the_file(tmp_path: Path) -> None:
    [row] = make_run(tmp_path, [("ab", "ab")])
    silence_then_tone = np.concatenate([np.zeros(RATE), 0.5 * np.sin(np.arange(RATE))])
    save_audio(tmp_path / "long.wav", silence_then_tone, RATE)
    write_rows(tmp_path, [{**row, "audio": str(tmp_path / "long.wav"), "start": 1.0, "duration": 0.5}])
    [player] = Page(write_report(tmp_path)).all("audio")
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(player["src"].split(",")[1])))
    assert len(samples) / rate == pytest.approx(0.5, abs=0.15)
    assert np.abs(samples[: rate // 4]).max() > 0.3


def test_draws_curves_and_utterances(page: Page) -> None:
    drawn = [svg["aria-label"] for svg in page.all("svg")]
    assert len(drawn) == 5 and len([label for label in drawn if "spectrogram" in label]) == 3
    assert all("viewbox" in svg for svg in page.all("svg"))
    labels = page.text("text").split("\n")
    assert {"train", "dev", "words", "characters", "best: epoch 2", "seconds", "Hz", "blank", "space"} <= set(labels)
    assert {"red", "shark", "dish", "three"} <= set(labels)  # the recognised words stand above their sounds
    assert all("data:image/png" in image["xlink:href"] for image in page.all("image"))


def test_tells_of_corpus_time_and_configuration(page: Page) -> None:
    assert table(page, "Speakers") == [["train", "1,234", "2.50", "7", "98,765", "1", "silent 1"]]
    assert table(page, "Detail") == [["mute", "train", "silent", "only zeros"]]
    assert table(page, "Frames needed") == [["tiny", "3", "4"]]
    assert "The dev part is held out of train by speaker." in page.text("p")
    assert "10.0\u00a0%" in page.source and "60.0\u00a0%" in page.source and "30.0\u00a0%" in page.source
    assert "Decoding (greedy) took 0.0\u00a0s for 3.8\u00a0s of audio: a real-time factor of 0.004." in page.text("p")
    assert page.text("pre") == "trainer:\n  epochs: 2"


def test_is_the_same_each_time(run: Path) -> None:
    before = (run / "report.html").read_bytes()
    assert write_report(run).read_bytes() == before
    assert not list(run.glob(".report*"))


def test_is_small(page: Page) -> None:
    assert len(page.source) < 1_000_000


def test_escapes_whatever_comes_from_outside(tmp_path: Path) -> None:
    evils = ["<script>alert(1)</script>", "</title><img/src=x>", "$body", "${x}", "\"&amp;'", "$x_1$", "100%"]
    text = " ".join(evils)
    folder = tmp_path / text.replace("/", "|")
    rows = make_run(folder, [(text, text)], seconds=3.0)
    write_rows(folder, [{**rows[0], "id": text}])
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    page = Page(write_report(folder))
    assert not page.all("script") and not page.all("img")
    assert page.text("title") == page.text("h1") == folder.name
    assert page.text("pre") == page.text("code") == text
    assert page.edits[0][1:] == [("hit", [evil, evil]) for evil in evils]
    assert set(evils) <= set(page.text("text").split("\n"))  # in the picture as they are, not set as formulas


def test_hebrew_runs_from_right_to_left(tmp_path: Path) -> None:
    make_run(tmp_path, [("כן לא כן", "כן כן"), ("לא", "לא")])
    page = Page(write_report(tmp_path))
    assert page.edits[0][1:] == [("hit", ["כן", "כן"]), ("deletion", ["לא", "∗∗∗", "D"]), ("hit", ["כן", "כן"])]
    # Letters of ours inside bdi, so that only the utterance decides on its direction.
    blocks = [attributes for _, attributes in page.elements if attributes.get("class") == "differences"]
    assert blocks and all(block["dir"] == "auto" for block in blocks)
    assert '<bdi class="names">' in page.source and '<bdi title="deletion">D</bdi>' in page.source
    assert "כן" in page.text("text").split("\n")


def test_without_a_dev_part(tmp_path: Path) -> None:
    make_run(tmp_path, [("a", "a")], history=[{"epoch": 1, "step": 5, "train_loss": 2.5}])
    page = Page(write_report(tmp_path))
    assert len([svg for svg in page.all("svg") if "epochs" in svg["aria-label"]]) == 1
    assert "Without a dev part there are no error rates during training." in page.text("p")
    assert "dev" not in page.text("text").split("\n")


def test_without_errors(tmp_path: Path) -> None:
    make_run(tmp_path, [("red shark", "red shark"), ("", "")], model=False)
    page = Page(write_report(tmp_path))
    assert "No word is wrong." in page.text("p")
    assert "Utterances with most errors" not in page.text("h2")
    assert "0.00\u00a0%" in page.text("dd")
    assert page.edits == [] and "Most frequent insertions" not in page.source


def test_empty_references_and_hypotheses(tmp_path: Path) -> None:
    make_run(tmp_path, [("", "noise"), ("word", "")])
    page = Page(write_report(tmp_path))
    assert [("insertion", ["∗∗∗", "noise", "I"])] in [block[1:] for block in page.edits]
    assert [("deletion", ["word", "∗∗∗", "D"])] in [block[1:] for block in page.edits]


EVERYTHING = [
    "Summary",
    "Learning",
    "Errors",
    "Utterances with most errors",
    "Spectrogram, symbols and alignment",
    "Corpus",
    "Time",
    "Configuration",
]


@pytest.mark.parametrize(
    ("missing", "sections_gone"),
    [
        (["acoustic/model.json"], {"Learning", "Spectrogram, symbols and alignment"}),
        (["hypotheses.jsonl"], {"Errors", "Utterances with most errors", "Spectrogram, symbols and alignment"}),
        (["metrics.json", "acoustic/model.json"], {"Learning", "Spectrogram, symbols and alignment", "Time"}),
        (
            ["prepared/summary.json", "config.yaml", "acoustic/model.json"],
            {"Learning", "Spectrogram, symbols and alignment", "Corpus", "Configuration"},
        ),
        (
            ["metrics.json", "hypotheses.jsonl"],
            {"Errors", "Utterances with most errors", "Spectrogram, symbols and alignment"},
        ),
    ],
)
def test_stands_when_parts_are_missing(tmp_path: Path, missing: list[str], sections_gone: set[str]) -> None:
    make_run(tmp_path)
    for name in missing:
        (tmp_path / name).unlink()
    page = Page(write_report(tmp_path))
    assert page.text("h2").split("\n") == [heading for heading in EVERYTHING if heading not in sections_gone]
    if missing == ["metrics.json", "acoustic/model.json"]:
        assert page.text("dd").startswith("44.44\u00a0%")  # counted from the hypotheses


def test_stands_when_recordings_are_missing(tmp_path: Path) -> None:
    make_run(tmp_path)
    (tmp_path / "audio/0.wav").unlink()
    page = Page(write_report(tmp_path))
    assert page.text("p").count(f"No recording to play: {tmp_path / 'audio/0.wav'}") == 1
    assert len([svg for svg in page.all("svg") if "spectrogram" in svg["aria-label"]]) == 2


def test_stands_when_the_model_is_damaged(tmp_path: Path) -> None:
    make_run(tmp_path)
    (tmp_path / "acoustic/model.safetensors").write_bytes(b"nothing")
    page = Page(write_report(tmp_path))
    assert page.text("h2").split("\n") == EVERYTHING
    assert "No pictures: " in page.text("p") and "is damaged" in page.text("p")


def test_is_about_the_last_way_of_decoding(tmp_path: Path) -> None:
    greedy = make_run(tmp_path, model=False)
    beam = [{**row, "hypothesis": row["reference"], "decoding": "beam"} for row in greedy]
    write_rows(tmp_path, [row for pair in zip(beam, greedy, strict=True) for row in pair])
    write_json(tmp_path / "metrics.json", {"decode": {"greedy": score(greedy), "beam": score(beam)}})
    page = Page(write_report(tmp_path))
    assert page.text("dd").startswith("0.00\u00a0%")
    assert "No word is wrong." in page.text("p")
    assert [row[:3] for row in table(page, "Decoding")] == [
        ["greedy", "", "44.44\u00a0%"],
        ["beam with the language model", "", "0.00\u00a0%"],
    ]
    write_rows(tmp_path, greedy)  # the beam's are not at hand
    page = Page(write_report(tmp_path))
    assert page.text("dd").startswith("44.44\u00a0%") and "Utterances with most errors" in page.text("h2")


def test_shows_what_the_language_model_changed(tmp_path: Path) -> None:
    texts = [("the cat", "the cat"), ("a b", "a c"), ("same", "same")]
    greedy = ["the kat", "a b", "same"]
    rows = make_run(tmp_path, texts, model=False)
    alternatives = [
        {"text": "the cat", "score": -3.25, "acoustic": -2.0, "parts": {"language": -2.5}},
        {"text": "", "score": -9.0, "acoustic": -1.0, "parts": {"language": -16.0}},
    ]
    fused = [{**row, "greedy": alone, "decoding": "beam"} for row, alone in zip(rows, greedy, strict=True)]
    write_rows(tmp_path, [{**fused[0], "alternatives": alternatives}, *fused[1:]])
    page = Page(write_report(tmp_path))
    assert "What the language model changed" in page.text("h2")
    text = " ".join(page.text("p").split())
    assert "changed 2 of 3 utterances: 1 have fewer word errors" in text and "1 have more, 0 as many" in text
    assert table(page, "Weighted sum") == [
        ["the cat", "-2.00", "-2.50", "-3.25"],
        ["(no words)", "-1.00", "-16.00", "-9.00"],
    ]
    assert {"Hypothesis", "Acoustic model", "Language model", "Weighted sum"} <= set(page.text("th").split("\n"))
    write_rows(tmp_path, rows)
    assert "What the language model changed" not in Page(write_report(tmp_path)).text("h2")


def test_lists_only_the_worst(tmp_path: Path) -> None:
    rows = make_run(tmp_path, [("a b c", "a b c")], model=False)
    wrong = ["a b", "a", "", "x b c", "x y c", "x y z"] * 3
    write_rows(tmp_path, [{**rows[0], "id": f"u{i}", "audio": "", "hypothesis": text} for i, text in enumerate(wrong)])
    page = Page(write_report(tmp_path))
    listed = page.text("code").split("\n")
    assert listed[:8] == [*sorted(["u2", "u5", "u8", "u11", "u14", "u17"]), "u1", "u10"]
    assert len(listed) == 8
    assert not page.all("audio")


def test_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing to report.*give the folder of a run"):
        write_report(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("metrics.json", "{", r"metrics\.json is damaged"),
        ("metrics.json", "[1]", "no JSON object"),
        ("hypotheses.jsonl", '{"reference": "a", "hypothesis": "b"}\nnonsense\n', r"Line 2 of .*hypotheses\.jsonl"),
        ("hypotheses.jsonl", '\n{"reference": "a"}\n', 'Line 2 of .* has no texts "reference" and "hypothesis"'),
        ("prepared/summary.json", "", r"summary\.json is damaged"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    make_run(tmp_path, model=False)
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_names_the_part_of_each_error_rate_and_how_the_epoch_was_chosen(tmp_path: Path) -> None:
    make_run(tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    greedy = metrics["decode"]["greedy"]
    decode = {"greedy": {**greedy, "split": "test"}, "beam": {**greedy, "split": "test"}}
    write_json(tmp_path / "metrics.json", {"decode": decode, "tuning": {"beam": {"weight": 1}}})
    page = Page(write_report(tmp_path))
    assert {"Word error rate, test", "Character error rate, test"} <= set(page.text("dt").split("\n"))
    assert [row[:2] for row in table(page, "Part")][:2] == [
        ["greedy", "test"],
        ["beam with the language model", "test"],
    ]
    text = " ".join(page.text("p").split())
    assert "epoch 2 of 2, which had the best result on the dev part" in text
    assert "language models in decoding." in text and "Nothing was chosen on the test part." in text

    write_json(tmp_path / "metrics.json", {"decode": {"greedy": {**greedy, "split": "dev"}}})
    text = " ".join(Page(write_report(tmp_path)).text("p").split())
    assert "of the same dev part" in text and "Nothing was chosen" not in text and "also chose" not in text

    (tmp_path / "config.yaml").write_text("trainer:\n  keep: last\n", encoding="utf-8")
    assert "best result" not in Page(write_report(tmp_path)).text("p")


EVIL = "<script>alert(1)</script>"


def test_no_text_of_a_run_becomes_markup(tmp_path: Path) -> None:
    """Fill every text that the report reads with a script."""
    rows = make_run(tmp_path, [(f"a {EVIL} b", f"c {EVIL}"), (EVIL, EVIL), (f"one {EVIL}", "")], seconds=2.0)
    alternatives = [{"text": EVIL, "score": -1.0, "acoustic": -1.0, "parts": {EVIL: -2.0}}]
    fused = [
        {**row, "id": f"{EVIL}{row['id']}", "greedy": EVIL, "decoding": EVIL, "alternatives": alternatives}
        for row in rows
    ]
    write_rows(tmp_path, [*fused, {**fused[0], "id": EVIL, "audio": f"{EVIL}.wav"}])
    figures = {"wer": 0.5, "cer": 0.25, "wer_ci95": [0.25, 0.75], "split": EVIL, "rtf": 0.1, "audio_seconds": 3.0}
    write_json(tmp_path / "metrics.json", {"decode": {"greedy": figures, EVIL: figures}, "tuning": {EVIL: EVIL}})
    bad = {"id": EVIL, "reason": EVIL, "detail": EVIL}
    part = {"utterances": 1, "rejected": {"count": 1, "reasons": {EVIL: 1}, "utterances": [bad]}}
    summary = {"corpus": EVIL, "dev_held_out_by": EVIL, "splits": {EVIL: part}}
    write_json(tmp_path / "prepared" / "summary.json", summary)
    description = json.loads((tmp_path / "acoustic" / "model.json").read_text())
    description["versions"] = {EVIL: EVIL}
    description["training"]["left_out"][0]["id"] = EVIL
    description["training"]["seconds"][EVIL] = 1.0
    write_json(tmp_path / "acoustic" / "model.json", description)
    (tmp_path / "config.yaml").write_text(EVIL, encoding="utf-8")

    page = Page(write_report(tmp_path))
    assert not page.all("script")
    assert page.source.count("alert(1)") > 50
    for attributes in (attributes for _, attributes in page.elements):
        assert not any(name.startswith("on") for name in attributes)


@pytest.mark.parametrize("id", ["<b>", "\"'", "שלום", "x" * 5000, "a\u202eb", "&lt;", "../../etc"])
def test_odd_ids_are_shown_as_they_are(tmp_path: Path, id: str) -> None:
    [row] = make_run(tmp_path, [("word " + "w" * 3000, "word")], model=False)
    write_rows(tmp_path, [{**row, "id": id}])
    assert Page(write_report(tmp_path)).text("code").split("\n") == [id]


@pytest.mark.parametrize(
    ("name", "change", "key"),
    [
        ("metrics.json", {"decode": {"greedy": {"wer": float("nan")}}}, "wer"),
        ("metrics.json", {"decode": {"greedy": {"wer": float("inf"), "cer": 0.1}}}, "wer"),
        ("metrics.json", {"decode": {"greedy": {"wer": "0.1"}}}, "wer"),
        ("metrics.json", {"decode": {"greedy": {"wer_ci95": [0.1, None]}}}, "wer_ci95"),
        ("metrics.json", {"decode": {"greedy": {"words": -1}}}, "words"),
        ("metrics.json", {"decode": {"greedy": 3}}, "decode.greedy"),
        ("metrics.json", {"decode": [1]}, "decode"),
        ("hypotheses.jsonl", {"duration": float("nan")}, "duration"),
        ("hypotheses.jsonl", {"duration": None}, "duration"),
        ("hypotheses.jsonl", {"start": -1}, "start"),
        ("hypotheses.jsonl", {"confidence": float("inf")}, "confidence"),
        ("hypotheses.jsonl", {"id": ["a"]}, "id"),
        ("hypotheses.jsonl", {"greedy": ["a"]}, "greedy"),
        ("hypotheses.jsonl", {"greedy": "a", "alternatives": [{"score": float("-inf")}]}, "score"),
        ("hypotheses.jsonl", {"greedy": "a", "alternatives": [[1]]}, "alternatives"),
        ("prepared/summary.json", {"splits": {"train": {"utterances": "many"}}}, "utterances"),
        ("prepared/summary.json", {"splits": {"train": {"rejected": {"reasons": {"a": float("nan")}}}}}, "reasons"),
        ("prepared/summary.json", {"splits": [1]}, "splits"),
    ],
)
def test_a_value_that_cannot_be_is_one_sentence(tmp_path: Path, name: str, change: dict[str, Any], key: str) -> None:
    [row] = make_run(tmp_path, [("a b", "a c")], model=False)
    if name.endswith("jsonl"):
        (tmp_path / name).write_text(json.dumps({**row, **change}) + "\n", encoding="utf-8")
    else:
        write_json(tmp_path / name, change)
    with pytest.raises(UserError) as caught:
        write_report(tmp_path)
    message = str(caught.value)
    assert name in message and "\n" not in message and "again" in message
    assert key in message or "is no JSON" in message
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("name", ["metrics.json", "hypotheses.jsonl", "prepared/summary.json", "acoustic/model.json"])
@pytest.mark.parametrize("content", [b"\0" * 512, b"\xff\xfe{}", b"[" * 100_000], ids=["zeros", "no UTF-8", "nested"])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    make_run(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        write_report(tmp_path)
    assert name.split("/")[-1] in str(caught.value) and "\n" not in str(caught.value)


def test_a_loss_that_is_not_finite_is_a_gap(tmp_path: Path) -> None:
    history = [*HISTORY, {"epoch": 3, "step": 15, "train_loss": None, "dev_loss": None}]
    make_run(tmp_path, history=history)
    assert "nan" not in Page(write_report(tmp_path)).text("text").lower().split()
