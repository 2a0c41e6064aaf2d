"""Tests of the report of a damaged or odd run: a sentence that names the file, or a page with what is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.html_page import Page
from helpers.speech_runs import EVERYTHING, HISTORY, make_run, write_json, write_rows

from speechrnn.core.errors import UserError
from speechrnn.reports.speech import write_report


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
