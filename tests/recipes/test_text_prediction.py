"""The recipe end to end, by the command that a user types."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from speechrnn import TextPredictor
from speechrnn.cli import main as cli

ROOT = Path(__file__).parents[2]
SMALL = [
    "language.units=16",
    "language.embedding=8",
    "trainer.epochs=2",
    "trainer.min_steps=0",
    "trainer.batch_size=4",
    "trainer.bptt=8",
    "trainer.accelerator=cpu",
    "sample.max_new_tokens=20",
    "score.cache=true",
    "score.dynamic=true",
]


def run(*arguments: str) -> int:
    """The exit status of the command."""
    try:
        return cli.main(["text_prediction", *SMALL, *arguments])
    except SystemExit as ended:  # a recipe that was started ends its process
        return int(str(ended.code))


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    lines = ["sharks feed on tuna fishes", "tuna fishes feed on small fishes", "", "small fishes feed on sea plants"]
    (tmp_path / "text.txt").write_text("\n".join(lines * 20) + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("tokenizer", ["char", "word"])
def test_a_text_becomes_a_model_numbers_samples_and_a_report(text: Path, tokenizer: str) -> None:
    command = ["text=file", "text.train=[text.txt]", f"tokenizer={tokenizer}", "name=first"]
    assert run(*command) == 0
    folder = text / "outputs" / "text_prediction" / "first"
    names = {path.name for path in folder.iterdir()}
    assert names >= {
        "config.yaml",
        "prepared",
        "checkpoints",
        "language",
        "metrics.json",
        "samples.jsonl",
        "report.html",
        "run.log",
        "events",
    }
    metrics = json.loads((folder / "metrics.json").read_text())
    language = metrics["language"]
    assert language["split"] == "valid"  # one file has no test part
    assert language["perplexity"] == pytest.approx(math.exp(language["nats_per_token"]))
    assert {"bits_per_character", "tokens", "characters", "cache", "dynamic"} <= language.keys()
    assert language["training"]["epochs"] == 2
    model = json.loads((folder / "language" / "model.json").read_text())
    assert model["kind"] == "language" and len(model["training"]["history"]) == 2
    samples = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    assert [sample["temperature"] for sample in samples] == [0.5, 0.8, 1.0]
    assert all(sample["text"] for sample in samples)
    before = (folder / "language" / "model.safetensors").read_bytes()
    assert run(*command, "sample.seed=1") == 0
    assert (folder / "language" / "model.safetensors").read_bytes() == before
    assert [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()] != samples
    assert "perplexity" in json.loads((folder / "metrics.json").read_text())["language"]
    assert run(*command, "trainer.epochs=3", "stages=[train]") == 0
    figures = json.loads((folder / "metrics.json").read_text())["language"]
    assert figures.keys() == {"training"} and figures["training"]["epochs"] == 3  # the others were of other weights


@pytest.mark.parametrize("documents", [False, True])
def test_a_model_of_running_text_goes_on_after_a_line_end(text: Path, documents: bool) -> None:
    """In a play, a name is followed by a line end, and the words stand below."""
    (text / "play.txt").write_text("ROMEO:\nshe speaks\n" * 60, encoding="utf-8")
    assert run("text=file", "text.train=[play.txt]", f"text.documents={documents}", "name=play") == 0
    predictor = TextPredictor.load(text / "outputs" / "text_prediction" / "play" / "language")
    assert predictor.encoder.running_text is not documents


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["text=file", "text.train=[nothing.txt]"], "nothing.txt"),
        (["text=file"], "text.train"),
        (["text=wikitext2", "text.root=nowhere"], "nowhere"),
        (["text=file", "text.train=[text.txt]", "language.layer=3"], "language.layers"),
        (["text=file", "text.train=[empty.txt]"], "empty"),
        (["text=file", "text.train=[bytes.txt]"], "text.errors=replace"),
        (["text=file", "text.train=[text.txt]", "tokenizer=word", "language.softmax=adaptive"], "language.cutoffs"),
    ],
)
def test_bad_input_gets_a_sentence(
    text: Path, overrides: list[str], sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (text / "empty.txt").write_text("", encoding="utf-8")
    (text / "bytes.txt").write_bytes(b"good\nb\xffd\n")
    assert run(*overrides) == 2
    said = capfd.readouterr().err
    assert sentence in said and "Traceback" not in said


@pytest.mark.slow
def test_the_awd_recipe_runs_an_epoch_at_reduced_size(shared: Path, tmp_path: Path) -> None:
    overrides = ["experiment=awd_wikitext2", f"text.root={shared / 'wikitext-2'}", "trainer.accelerator=cpu"]
    small = ["language.units=64", "language.embedding=32", "trainer.epochs=1", "stages=[prepare,train]", "output=run"]
    command = [sys.executable, str(ROOT / "recipes" / "text_prediction.py"), *overrides, *small]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    figures = json.loads((tmp_path / "run" / "metrics.json").read_text())["language"]["training"]
    assert figures["valid_perplexity"] < 2000  # of 33,278 words


def test_an_ngram_model_of_words_that_a_beam_search_takes(text: Path) -> None:
    from speechrnn.decoding.fusion import make_ngram_scorer
    from speechrnn.text.tokenizers import CharTokenizer

    command = ["text=file", "text.train=[text.txt]", "tokenizer=word", "name=words", "stages=[prepare,ngram]"]
    assert run(*command, "ngram.order=2") == 0
    folder = text / "outputs" / "text_prediction" / "words"
    full = json.loads((folder / "metrics.json").read_text())["ngram"]
    assert len(full["ngrams"]) == 2 and full["perplexity"] > 1 and full["bytes"] > 0
    tokenizer = CharTokenizer.build(["sharks feed on tuna fishes small sea plants"])
    _, words = make_ngram_scorer(folder / "ngram.arpa.gz", tokenizer, None, device="cpu")
    assert words is not None and "sharks" in words
    assert run(*command, "ngram.order=2", "ngram.pruning=0.2") == 0  # the run is the same
    pruned = json.loads((folder / "metrics.json").read_text())["ngram"]
    assert pruned["ngrams"][1] < full["ngrams"][1] and pruned["perplexity"] > full["perplexity"]
    assert run(*command, "ngram.order=2", "ngram.format=q8") == 0
    small = json.loads((folder / "metrics.json").read_text())["ngram"]
    assert small["ngrams"] == full["ngrams"] and small["perplexity"] == pytest.approx(full["perplexity"], rel=0.02)
    assert make_ngram_scorer(folder / "ngram.q8", tokenizer, None, device="cpu")[1] == words
    assert not (folder / "ngram.arpa.gz").exists()  # one of them is the run's


def test_a_model_is_fine_tuned_on_another_text(text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("text=file", "text.train=[text.txt]", "name=base", "stages=[prepare,train]") == 0
    (text / "few.txt").write_text("tuna fishes feed on sharks\n" * 8)
    (text / "other.txt").write_text("QUALLEN FRESSEN PLANKTON\n" * 8)
    base = "init_from=outputs/text_prediction/base"
    capsys.readouterr()
    few = ["text=file", "text.train=[few.txt]", base, "name=few", "stages=[prepare,train,sample]"]
    assert run(*few, "trainer.frozen_layers=1", "trainer.frozen_steps=2") == 0
    assert "Weights are those of outputs/text_prediction/base." in capsys.readouterr().err
    tokenizers = [
        json.loads((text / "outputs" / "text_prediction" / name / "language" / "model.json").read_text())["tokenizer"]
        for name in ("base", "few")
    ]
    assert tokenizers[0] == tokenizers[1]  # with letters that the few lines lack
    assert run("text=file", "text.train=[other.txt]", base, "name=other", "stages=[prepare,train]") == 0
    assert "but the vocabulary is another" in capsys.readouterr().err
    assert run("text=file", "text.train=[few.txt]", "init_from=nowhere", "name=wrong") == 2
    assert "nowhere" in capsys.readouterr().err
