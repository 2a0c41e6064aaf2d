"""The report of a text prediction run: a whole page that loads nothing, and stands whatever is missing."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
from helpers.html_page import Page, table
from helpers.language_models import encoded, toy_model

from speechrnn.core.errors import UserError
from speechrnn.data.tokens import Block, TokenFile, write_tokens
from speechrnn.evaluation.surprisal import token_surprisals
from speechrnn.nn.checkpoint import DIGESTS
from speechrnn.nn.language import load_language, save_language
from speechrnn.reports.text import write_text_report
from speechrnn.text.tokenizers import CharTokenizer, Tokenizer, WordTokenizer

VALID = 'Sharks feed on tuna & <b>fish</b>.\nTuna feed on "squid".\n\nSquid feed on fish.\n'
HISTORY = [
    {"epoch": 1, "step": 5, "train_loss": 2.5, "valid_loss": 2.6, "valid_perplexity": 13.46},
    {"epoch": 2, "step": 10, "train_loss": 1.5, "valid_loss": 1.75, "valid_perplexity": 5.75},
]
SAMPLES = [
    {"prompt": "Sharks", "temperature": 1.0, "text": " feed\non <b>air</b>"},
    {"prompt": "", "temperature": 0.5, "text": "fish"},
]
FIGURES = {
    "perplexity": 5.75,
    "bits_per_character": 2.5236,
    "nats_per_token": 1.7492,
    "split": "test",
    "tokens": 1000,
    "characters": 1000,
    "cache": {"perplexity": 5.5, "bits_per_character": 2.4594, "theta": 1.0, "weight": 0.1, "window": 2000},
    "dynamic": {"perplexity": 5.25, "bits_per_character": 2.3923, "rate": 3e-4, "decay": 0.0, "segment": 10},
}


def make_run(
    folder: Path,
    tokenizer: Tokenizer | None = None,
    history: list[Any] = HISTORY,
    samples: list[Any] = SAMPLES,
    valid: str = VALID,
) -> Path:
    """The folder of a run with an untrained model."""
    tokenizer = tokenizer or CharTokenizer.build([valid.replace("\n", "")])
    training = {
        "epochs": 2,
        "best_epoch": 2,
        "parameters": 1_230_000,
        "tokens_per_second": 4321.0,
        "history": history,
        "seconds": {"data": 10.0, "step": 80.0, "evaluation": 10.0},
    }
    save_language(folder / "language", toy_model(len(tokenizer), scale=40.0), tokenizer, training=training)
    ids = encoded(valid, tokenizer).tokens
    write_tokens(folder / "prepared" / "text" / "valid.tokens", [Block(ids, len(valid))], len(tokenizer))
    part = {"lines": 4, "documents": 1, "tokens": 1234, "characters": 5678, "unknown": 617, "files": ["sea.txt"]}
    kind = {"kind": tokenizer.kind, "symbols": len(tokenizer)}
    write_json(folder / "prepared/text/summary.json", {"text": "file", "tokenizer": kind, "splits": {"train": part}})
    write_json(folder / "metrics.json", {"language": FIGURES})
    (folder / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in samples), encoding="utf-8")
    (folder / "config.yaml").write_text("trainer:\n  epochs: 2\n", encoding="utf-8")
    return folder


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_run(tmp_path_factory.mktemp("runs") / "my run")
    assert write_text_report(folder) == folder / "report.html"
    return folder


@pytest.fixture(scope="module")
def page(run: Path) -> Page:
    return Page(run / "report.html")


def tokens(page: Page) -> list[tuple[str, str, str]]:
    """The passage's tokens: (shade, title, text)."""
    (block,) = re.findall(r'<div class="written tokens" dir="auto">(.*?)</div>', page.source, re.DOTALL)
    found = re.findall(r'<span class="(b\d)" title="([^"]*)">(.*?)</span>', block, re.DOTALL)
    return [(shade, html.unescape(title), html.unescape(text)) for shade, title, text in found]


def test_loads_nothing_and_runs_nothing(page: Page) -> None:
    assert "://" not in page.source and "url(" not in page.source.replace("url(#", "")
    assert not {"script", "link", "iframe", "img", "object", "embed", "base"} & {tag for tag, _ in page.elements}
    policy = next(meta for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"].startswith("default-src 'none'")
    assert len(page.source) < 200_000


def test_shows_the_numbers_of_the_run(run: Path, page: Page) -> None:
    size = (run / "language/model.safetensors").stat().st_size / 1e6
    assert page.text("title") == "my run" and "text file, tokenizer char" in page.text("p")
    assert page.text("dd").split("\n") == ["5.75", "2.524", "1.23 M", "1.7\u00a0min", "4,321"]
    assert page.text("small").split("\n") == [
        "test text, 1.749 nats a token",
        "1,000 characters",
        f"{size:.1f} MB",
        "2 epochs",
        "tokens a second",
    ]
    assert table(page, "Constants") == [
        ["The model", "5.75", "2.5236", ""],
        ["With a neural cache", "5.50", "2.4594", "theta 1, weight 0.1, window 2000"],
        ["Under dynamic evaluation", "5.25", "2.3923", "rate 0.0003, decay 0, segment 10"],
    ]
    assert table(page, "Documents") == [["train", "4", "1", "1,234", "5,678", "617", "50.00%"]]
    assert "80.0\u00a0%" in page.source and "4,321 tokens a second" in page.text("p")
    assert page.text("pre") == "trainer:\n  epochs: 2"


def test_draws_the_curves(page: Page) -> None:
    (drawing,) = page.all("svg")
    assert drawing["aria-label"] == "Perplexity over the epochs of training"
    assert {"train", "valid", "best: epoch 2", "epoch", "perplexity"} <= set(page.text("text").split("\n"))


def test_shows_what_it_writes_by_temperature(page: Page) -> None:
    assert page.text("h3").split("\n") == ["Temperature 0.5", "Temperature 1"]
    first, second, _ = re.findall(r'<div class="written[^>]*>(.*?)</div>', page.source, re.DOTALL)
    assert first == "<b></b>fish"
    assert second == "<b>Sharks</b> feed\non &lt;b&gt;air&lt;/b&gt;"


def test_says_when_documents_are_read_apart(tmp_path: Path) -> None:
    make_run(tmp_path)
    assert "reads the text as one" in Page(write_text_report(tmp_path)).text("p")
    summary = json.loads((tmp_path / "prepared/text/summary.json").read_text())
    write_json(tmp_path / "prepared/text/summary.json", {**summary, "options": {"documents": True}})
    assert "reads each document from the start state" in Page(write_text_report(tmp_path)).text("p")


def test_tints_each_token_by_what_it_was_worth(run: Path, page: Page) -> None:
    model, tokenizer = load_language(run / "language")
    found = token_surprisals(model, TokenFile.open(run / "prepared/text/valid.tokens"), 1000)
    shown = tokens(page)
    assert "".join(text for _, _, text in shown).replace("↵", "") == VALID
    limits = (1, 2, 4, 6, 9, 12)
    for scored, (shade, title, _) in zip(found, shown, strict=True):
        assert shade == f"b{sum(scored.bits >= limit for limit in limits)}"
        assert title.startswith(f"{scored.bits:.1f} bits, ")
        best, chance = scored.expected[0]
        symbol = {"<blank>": "↵", " ": "␣"}.get(tokenizer.symbols[best], tokenizer.symbols[best])
        assert f"Expected: {symbol} {100 * chance:.1f}\u00a0% · " in title
    assert len({shade for shade, _, _ in shown}) > 2
    assert [len(re.findall(f'class="b{shade}">', page.source)) for shade in range(7)] == [1] * 7  # the legend
    assert f"the average is {sum(scored.bits for scored in found) / len(found):.1f}" in page.text("p")


def test_lists_the_most_surprising_tokens(run: Path, page: Page) -> None:
    model, _ = load_language(run / "language")
    found = token_surprisals(model, TokenFile.open(run / "prepared/text/valid.tokens"), 1000)
    rows = table(page, "Expected")
    assert len(rows) == 15
    assert [row[1] for row in rows] == [
        f"{bits:.1f}" for bits in sorted((scored.bits for scored in found), reverse=True)[:15]
    ]
    place = max(range(len(found)), key=lambda place: found[place].bits)
    before = VALID[:place].replace("\n", "↵")
    assert rows[0][2] == (before if len(before) <= 40 else f"…{before[-40:]}")
    assert f"Highest surprisal among the first {len(VALID)} tokens" in page.text("caption")


def test_rare_tokens_have_odds(tmp_path: Path) -> None:
    make_run(tmp_path)
    model, tokenizer = load_language(tmp_path / "language")
    biases = model.softmax.bias.data
    biases[tokenizer.symbols.index("q")] = -30.0
    biases[tokenizer.symbols.index("&")] = -10.0
    save_language(tmp_path / "language", model, tokenizer, training={})
    titles = {text: title for _, title, text in tokens(Page(write_text_report(tmp_path)))}
    assert re.search(r"bits, 1 in \d(\.\d)?e\+1\d\.", titles["q"])
    assert re.search(r"bits, 1 in [\d,]+\.", titles["&"])
    assert any(re.search(r"bits, \d+\.\d\u00a0%\.", title) for title in titles.values())


def test_words_keep_their_spaces_outside_of_the_colour(tmp_path: Path) -> None:
    make_run(tmp_path, WordTokenizer.build(["Sharks feed on"]))
    page = Page(write_text_report(tmp_path))
    texts = [text for _, _, text in tokens(page)]
    assert texts[:4] == ["Sharks", "feed", "on", "<unk>"] and "↵\n" in texts
    assert ">Sharks</span> <span" in page.source


EVERYTHING = [
    "Summary",
    "Learning",
    "Generated text",
    "Surprisal of each token",
    "Text",
    "Time",
    "Configuration",
]


@pytest.mark.parametrize(
    ("missing", "gone"),
    [
        (["samples.jsonl"], {"Generated text"}),
        (["prepared/text/valid.tokens"], {"Surprisal of each token"}),
        (["prepared/text/summary.json", "config.yaml"], {"Text", "Configuration"}),
        (["language/model.json"], {"Learning", "Surprisal of each token", "Time"}),
        (["metrics.json"], set()),
    ],
)
def test_stands_when_parts_are_missing(tmp_path: Path, missing: list[str], gone: set[str]) -> None:
    make_run(tmp_path)
    for name in missing:
        (tmp_path / name).unlink()
    page = Page(write_text_report(tmp_path))
    assert page.text("h2").split("\n") == [heading for heading in EVERYTHING if heading not in gone]


def test_stands_when_the_model_is_damaged(tmp_path: Path) -> None:
    make_run(tmp_path)
    (tmp_path / "language/model.safetensors").write_bytes(b"nothing")
    page = Page(write_text_report(tmp_path))
    assert page.text("h2").split("\n") == EVERYTHING
    assert "There are no numbers: " in page.text("p") and "is damaged" in page.text("p")


def test_without_a_validation_text(tmp_path: Path) -> None:
    make_run(tmp_path, history=[{"epoch": 1, "step": 5, "train_loss": 2.5}])
    (tmp_path / "prepared/text/valid.tokens").rename(tmp_path / "prepared/text/test.tokens")
    page = Page(write_text_report(tmp_path))
    assert "There is no validation text." in page.text("p") and "From the test text" in page.text("p")
    assert "valid" not in page.text("text").split("\n")


def test_escapes_whatever_comes_from_outside(tmp_path: Path) -> None:
    evils = ["<script>alert(1)</script>", "</title><img/src=x>", "$body", "${x}", "\"&amp;'", "100%"]
    text = " ".join(evils)
    samples = [{"prompt": text, "temperature": 1.0, "text": text}]
    folder = make_run(tmp_path / text.replace("/", "|"), valid=text + "\n", samples=samples)
    page = Page(write_text_report(folder))
    assert not page.all("script") and not page.all("img")
    assert page.text("title") == page.text("h1") == folder.name
    assert "".join(shown for _, _, shown in tokens(page)) == text + "↵\n"
    assert page.text("b") == text


def test_what_runs_from_right_to_left_decides_so_itself(tmp_path: Path) -> None:
    make_run(tmp_path, valid="כן לא\n", samples=[{"prompt": "כן", "temperature": 1.0, "text": " לא"}])
    page = Page(write_text_report(tmp_path))
    blocks = [attributes for _, attributes in page.elements if attributes.get("class", "").startswith("written")]
    assert len(blocks) == 2 and all(block["dir"] == "auto" for block in blocks)


def test_is_the_same_each_time(run: Path) -> None:
    before = (run / "report.html").read_bytes()
    assert write_text_report(run).read_bytes() == before
    assert not list(run.glob(".report*"))


def test_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing to report.*give the folder of a run"):
        write_text_report(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("metrics.json", "{", r"metrics\.json is damaged"),
        ("samples.jsonl", "\nnonsense\n", r"Line 2 of .*samples\.jsonl is no JSON"),
        (
            "samples.jsonl",
            '{"text": "a"}\n',
            'Line 1 of .* has no texts "prompt" and "text"; generate the samples again',
        ),
        ("prepared/text/summary.json", "", r"summary\.json is damaged"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    make_run(tmp_path)
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        write_text_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


EVIL = "<script>alert(1)</script>"


def test_no_text_of_a_run_becomes_markup(tmp_path: Path) -> None:
    """Fill every text that the report reads with a script."""
    tokenizer = WordTokenizer.build([f"Sharks {EVIL} feed {EVIL}"])
    samples = [{"prompt": EVIL, "temperature": 1.0, "text": EVIL}]
    make_run(tmp_path, tokenizer, samples=samples, valid=f"Sharks {EVIL} feed\n{EVIL} feed\n")
    part = {"lines": 4, "documents": 1, "tokens": 1234, "characters": 5678, "unknown": 617}
    summary = {"text": EVIL, "tokenizer": {"kind": EVIL, "symbols": 3}, "splits": {EVIL: part}}
    write_json(tmp_path / "prepared/text/summary.json", summary)
    write_json(tmp_path / "metrics.json", {"language": {**FIGURES, "split": EVIL}})
    description = json.loads((tmp_path / "language" / "model.json").read_text())
    description["versions"] = {EVIL: EVIL}
    description["training"]["seconds"][EVIL] = 1.0
    del description[DIGESTS]
    write_json(tmp_path / "language" / "model.json", description)
    (tmp_path / "config.yaml").write_text(EVIL, encoding="utf-8")
    page = Page(write_text_report(tmp_path))
    assert not page.all("script") and page.source.count("alert(1)") > 20


@pytest.mark.parametrize(
    ("name", "value", "key"),
    [
        ("metrics.json", {"language": {**FIGURES, "perplexity": float("nan")}}, "perplexity"),
        ("metrics.json", {"language": {**FIGURES, "perplexity": float("inf")}}, "perplexity"),
        ("metrics.json", {"language": {**FIGURES, "cache": {"perplexity": "low"}}}, "cache"),
        ("metrics.json", {"language": 3}, "language"),
        ("samples.jsonl", {"prompt": "a", "text": "b", "temperature": float("nan")}, "temperature"),
        ("prepared/text/summary.json", {"splits": {"train": {"tokens": None}}}, "tokens"),
    ],
)
def test_a_value_that_cannot_be_is_one_sentence(tmp_path: Path, name: str, value: dict[str, Any], key: str) -> None:
    make_run(tmp_path)
    write_json(tmp_path / name, value)
    with pytest.raises(UserError) as caught:
        write_text_report(tmp_path)
    message = str(caught.value)
    assert name in message and (key in message or "is no JSON" in message) and "\n" not in message


def test_a_text_of_another_tokenizer_has_no_surprisal(tmp_path: Path) -> None:
    make_run(tmp_path)
    write_tokens(tmp_path / "prepared" / "text" / "valid.tokens", [Block([1, 900, 2], 3)], 1000)
    assert "made with another tokenizer" in Page(write_text_report(tmp_path)).text("p")
