"""The report of a run: a whole page that loads nothing, shows the run's numbers, and stands whatever is missing."""

from __future__ import annotations

import base64
import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers.html_page import Page, table
from helpers.speech_runs import EVERYTHING, RATE, make_run, write_json, write_rows

from speechrnn.audio import save_audio
from speechrnn.evaluation.metrics import score
from speechrnn.reports.speech import write_report


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
