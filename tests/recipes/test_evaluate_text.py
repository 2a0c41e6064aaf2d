"""`speechrnn evaluate model=DIR text=FILE` as a user types it."""

from __future__ import annotations

import gzip
import json
import math
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from helpers.language_models import encoded, toy_model, write_text

from speechrnn.cli import main as cli
from speechrnn.cli import overrides
from speechrnn.evaluation.adaptation import AdaptationOptions, adapted_figures
from speechrnn.evaluation.perplexity import score_text
from speechrnn.nn.language import load_language, save_language
from speechrnn.text.normalisation import NormalisationOptions
from speechrnn.text.tokenizers import CharTokenizer, WordTokenizer

Run = Callable[..., tuple[int, str, str]]

TEXT = "sharks feed on tuna\n\ntuna feed on sharks\nsea plants\n"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("key=value", ...)`, in this process -> (exit status, stdout, stderr)."""

    def evaluate(*overrides: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", sys.argv)
        try:
            status = cli.main(["evaluate", "device=cpu", *overrides])
        except SystemExit as end:
            status = int(end.code or 0)
        return status, *capsys.readouterr()

    return evaluate


@pytest.fixture
def characters(tmp_path: Path) -> Path:
    tokenizer = CharTokenizer.build(TEXT.splitlines())
    save_language(tmp_path / "characters", toy_model(len(tokenizer), scale=1.0), tokenizer, training={})
    return tmp_path / "characters"


def test_perplexity_and_bits_of_a_text(run: Run, characters: Path, tmp_path: Path) -> None:
    text, output, lines = (
        write_text(tmp_path / "sea.txt", TEXT),
        tmp_path / "figures.json",
        tmp_path / "deep/lines.jsonl",
    )
    status, out, err = run(f"model={characters}", f"text={text}", f"output={output}", f"lines={lines}")
    assert (status, err) == (0, "")
    model, tokenizer = load_language(characters)
    score = score_text(model, encoded(TEXT, tokenizer))
    assert [" ".join(line.split()) for line in out.splitlines()] == [
        "perplexity bits per character",
        f"model {score.perplexity:.2f} {score.bits_per_character:.4f}",
        "52 tokens, 4 line ends among them; 52 characters",
    ]
    figures = json.loads(output.read_text())
    expected = {**score.figures(), "lines": 4, "unknown": 0}
    assert figures == {key: pytest.approx(value) for key, value in expected.items()}
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [(row["line"], row["text"]) for row in rows] == list(enumerate(TEXT.splitlines(), start=1))
    assert [row["tokens"] for row in rows] == [20, 1, 20, 11]
    assert sum(row["logprob"] for row in rows) == pytest.approx(-score.nats)
    assert all(row["perplexity"] == pytest.approx(math.exp(-row["logprob"] / row["tokens"])) for row in rows)


def test_a_model_may_be_given_by_name(
    run: Run, characters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = write_text(tmp_path / "sea.txt", TEXT)
    by_path = run(f"model={characters}", f"text={text}")
    characters.rename(tmp_path / "language")
    (tmp_path / "models" / "sea").mkdir(parents=True)
    (tmp_path / "language").rename(tmp_path / "models" / "sea" / "language")
    monkeypatch.setenv("SPEECHRNN_MODELS", str(tmp_path / "models"))
    assert run("model=sea", f"text={text}") == by_path
    status, _, err = run("model=see", f"text={text}")
    assert status == 2 and "no model of that name" in err and "sea" in err and err.count("\n") == 1


def test_adapting_models_have_rows_of_their_own(run: Run, characters: Path, tmp_path: Path) -> None:
    text, output = write_text(tmp_path / "sea.txt", 4 * TEXT), tmp_path / "figures.json"
    constants = ("adaptation.cache.theta=0.5", "adaptation.dynamic.rate=0.002")
    status, out, _ = run(
        f"model={characters}", f"text={text}", f"output={output}", "cache=true", "dynamic=true", *constants
    )
    assert status == 0
    model, tokenizer = load_language(characters)
    figures = json.loads(output.read_text())
    defaults = AdaptationOptions()
    for title, key, options, value in (
        ("neural cache", "cache", defaults.cache, {"theta": 0.5}),
        ("dynamic evaluation", "dynamic", defaults.dynamic, {"rate": 0.002}),
    ):
        expected = adapted_figures(model, encoded(4 * TEXT, tokenizer), type(options)(**{**asdict(options), **value}))
        assert figures[key] == {name: pytest.approx(number) for name, number in expected.items()}
        row = f"{title} {expected['perplexity']:.2f} {expected['bits_per_character']:.4f}"
        assert row in [" ".join(line.split()) for line in out.splitlines()]
        assert figures[key]["perplexity"] < figures["perplexity"]


def test_several_files_are_one_text_or_several_documents(run: Run, characters: Path, tmp_path: Path) -> None:
    parts = ["sharks\n", "tuna on sea\nsharks\n"]
    plain = write_text(tmp_path / "parts/a.txt", parts[0])
    with gzip.open(tmp_path / "parts/b.txt.gz", "wt") as file:
        file.write(parts[1])
    model, tokenizer = load_language(characters)
    whole = score_text(model, encoded("".join(parts), tokenizer)).nats
    apart = sum(score_text(model, encoded(part, tokenizer)).nats for part in parts)
    assert whole != pytest.approx(apart, rel=1e-4)
    output = tmp_path / "figures.json"
    for key, expected in (("text.documents=false", whole), ("text.documents=true", apart)):
        for text in (f"text=[{plain},{tmp_path}/parts/b.txt.gz]", f"text={tmp_path}/parts/*"):
            status, _, err = run(f"model={characters}", text, key, f"output={output}")
            assert (status, err) == (0, "")
            figures = json.loads(output.read_text())
            assert figures["nats_per_token"] * figures["tokens"] == pytest.approx(expected, rel=1e-5)


def test_words_that_the_model_does_not_know_are_counted(run: Run, tmp_path: Path) -> None:
    tokenizer = WordTokenizer.build(TEXT.splitlines())
    save_language(tmp_path / "words", toy_model(len(tokenizer)), tokenizer, training={})
    text = write_text(tmp_path / "other.txt", "whales feed on squid\nsea\n")
    status, out, _ = run(f"model={tmp_path}/words", f"text={text}")
    assert status == 0
    assert "7 tokens, 2 line ends among them; 25 characters" in out
    assert "2 tokens are <unk> (28.57%): what the model does not know counts as that" in out


def test_the_text_is_normalised_as_the_models_training_text_was(run: Run, tmp_path: Path) -> None:
    tokenizer = CharTokenizer.build([" ABC"])
    summary = {"normalisation": asdict(NormalisationOptions())}
    save_language(tmp_path / "upper", toy_model(len(tokenizer)), tokenizer, training=summary)
    text, lines = write_text(tmp_path / "text.txt", "Cab, a  bac!\n"), tmp_path / "lines.jsonl"
    status, _, err = run(f"model={tmp_path}/upper", f"text={text}", f"lines={lines}")
    assert (status, err) == (0, "")
    assert json.loads(lines.read_text())["text"] == "CAB A BAC"


def test_bytes_that_are_no_utf8_are_replaced_on_demand(run: Run, tmp_path: Path) -> None:
    tokenizer = CharTokenizer.build([TEXT, "\ufffd"])
    save_language(tmp_path / "model", toy_model(len(tokenizer)), tokenizer, training={})
    (tmp_path / "latin.txt").write_bytes(b"on the sea \xe9\n".replace(b"the ", b""))
    status, out, err = run(f"model={tmp_path}/model", f"text={tmp_path}/latin.txt")
    assert status == 2 and "latin.txt is no UTF-8 text: byte 7 " in err and "text.errors=replace" in err
    status, out, _ = run(f"model={tmp_path}/model", f"text={tmp_path}/latin.txt", "text.errors=replace")
    assert status == 0 and "9 tokens" in out


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("model={model}",), "give text=FILE, what it reads"),
        (("text={text}",), "give model=DIR, the one that reads"),
        (("model={model}", "text={text}", "hypotheses={text}"), "one of the three"),
        (("model={model}", "text={tmp}/nowhere.txt"), "text={tmp}/nowhere.txt does not exist; check the name."),
        (("model={model}", "text={tmp}"), "{tmp} is a folder, not a file; give {tmp}/*.txt"),
        (("model={model}", "text={tmp}/empty.txt"), "{tmp}/empty.txt) is empty"),
        (("model={model}", "text={tmp}/foreign.txt"), "'Z' (U+005A LATIN CAPITAL LETTER Z) 3×, 'é' (U+00E9"),
        (("model={tmp}/nowhere", "text={text}"), "There is no model directory {tmp}/nowhere"),
        (("model={model}", "text={text}", "adaptation.cache.weight=1.5"), "adaptation.cache.weight=1.5 is wrong"),
        (("model={model}", "text={text}", "text.errors=ignore"), "text.errors=ignore is wrong"),
        (("model={model}", "text={text}", "lines={text}/lines"), "Cannot write {text}/lines"),
        (("model={model}", "text={text}", "device=tpu"), "device=tpu"),
    ],
)
def test_bad_input_is_one_sentence(
    run: Run, characters: Path, tmp_path: Path, given: tuple[str, ...], sentence: str
) -> None:
    places = {"tmp": str(tmp_path), "model": str(characters), "text": str(write_text(tmp_path / "sea.txt", TEXT))}
    write_text(tmp_path / "empty.txt", "")
    write_text(tmp_path / "foreign.txt", "Z tuna Z\né Z\n")
    filled = [override.format(**places) for override in given]
    status, out, err = run(*filled)
    assert (status, out) == (2, "")
    assert err.startswith("speechrnn: ") and err.count("\n") == 1 and sentence.format(**places) in err


def test_text_is_a_file_here_and_a_choice_where_texts_are_chosen() -> None:
    conf = Path(__file__).parents[2] / "conf"
    given = ["text=a b.txt", "text.errors=replace", "device=cpu"]
    assert overrides.spell_out(given, "evaluate", conf) == ["text.files=a b.txt", "text.errors=replace", "device=cpu"]
    assert overrides.spell_out(["text=ptb"], "text_prediction", conf) == ["text=ptb"]
    given = ["prediction.tokenizer=word", "prediction.tokenizer.kind=char", "tokenizer=char"]
    assert overrides.spell_out(given, "speech_to_text", conf) == [f"tokenizer@{given[0]}", *given[1:]]
