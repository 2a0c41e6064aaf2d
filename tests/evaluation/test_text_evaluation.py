"""Tests of the evaluation of a language model on text files."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from helpers.language_models import toy_model, write_text

from speechrnn.core.errors import UserError
from speechrnn.data.texts import text_options, text_parts
from speechrnn.data.texts.reader import Line
from speechrnn.evaluation.perplexity import LineScore
from speechrnn.evaluation.text_evaluation import TextEvaluation, TextFiles, evaluate_text, part_of, whole, written
from speechrnn.nn.language import save_language
from speechrnn.text.tokenizers import CharTokenizer

TEXT = "sharks feed on tuna\n\nsea plants\n"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    tokenizer = CharTokenizer.build(TEXT.splitlines())
    save_language(tmp_path / "model", toy_model(len(tokenizer), scale=1.0), tokenizer, training={})
    return tmp_path / "model"


def test_the_scores_of_lines_add_up_to_that_of_the_text(model: Path, tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.txt", TEXT)
    options = TextEvaluation(model, TextFiles(str(path)), lines=tmp_path / "lines.jsonl", device="cpu")
    figures = evaluate_text(options)
    rows = [json.loads(line) for line in (tmp_path / "lines.jsonl").read_text().splitlines()]
    assert [row["text"] for row in rows] == TEXT.splitlines() and [row["line"] for row in rows] == [1, 2, 3]
    tokens = sum(row["tokens"] for row in rows)
    assert figures["tokens"] == tokens == len(TEXT) and figures["lines"] == 3
    total = -sum(row["logprob"] for row in rows)
    assert figures["perplexity"] == pytest.approx(math.exp(total / tokens))


def test_adapting_rows_come_on_request(model: Path, tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.txt", TEXT * 3)
    figures = evaluate_text(TextEvaluation(model, TextFiles(str(path)), cache=True, dynamic=True, device="cpu"))
    assert figures["cache"]["perplexity"] != figures["dynamic"]["perplexity"] != figures["perplexity"]


def test_several_files_are_read_in_their_order(tmp_path: Path) -> None:
    first, second = write_text(tmp_path / "b.txt", "b\n"), write_text(tmp_path / "a.txt", "a\n")
    part = part_of(TextFiles((str(first), str(second))))
    assert [*part.files] == [first, second]
    assert [line.text for line in part.lines()] == ["b", "a"]


@pytest.mark.parametrize(("name", "file"), [("wikitext2", "wiki.test.tokens"), ("ptb", "ptb.test.txt")])
def test_evaluate_reads_the_lines_that_a_run_scores(name: str, file: str, tmp_path: Path) -> None:
    """Spaces at the ends of lines and blank lines count in the figures of both, or in those of neither."""
    for split in ("train", "valid", "test"):
        write_text(tmp_path / file.replace("test", split), f" = {split} = \n \n the <unk> , @-@ sea \n\n end\n")
    own = text_parts(text_options({"name": name, "root": str(tmp_path)}))["test"]
    evaluated = part_of(TextFiles(str(tmp_path / file)))
    assert [line.text for line in evaluated.lines()] == [line.text for line in own.lines()]
    assert [line.text for line in own.lines()][:2] == [" = test = ", " "]


@pytest.mark.parametrize("name", ["missing.txt", "empty.txt", "alien.txt"])
def test_a_text_that_cannot_be_scored_is_named(model: Path, tmp_path: Path, name: str) -> None:
    write_text(tmp_path / "empty.txt", "\n\n")
    write_text(tmp_path / "alien.txt", "日本\n")
    with pytest.raises(UserError, match=name.removesuffix(".txt")):
        evaluate_text(TextEvaluation(model, TextFiles(str(tmp_path / name)), device="cpu"))


def test_long_lines_come_in_several_blocks() -> None:
    lines = [Line("ab", ended=False), Line("c"), Line("d")]
    assert list(whole(lines)) == ["abc", "d"]


def test_each_score_needs_its_text(tmp_path: Path) -> None:
    scores = [LineScore(2, -1.0)]
    with pytest.raises(ValueError, match="longer"):
        list(written(scores, ["a", "b"], tmp_path / "lines.jsonl"))
    assert not (tmp_path / "lines.jsonl").exists()
