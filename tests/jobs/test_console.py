"""Tests of text that is generated for somebody who watches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from helpers import generators

from speechrnn.core.errors import UserError
from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.predictor import TextPredictor
from speechrnn.jobs.console import offer_next_words, print_completions, print_texts, read_single_prompt
from speechrnn.jobs.executors import ExecutorOptions
from speechrnn.jobs.generation_job import GenerationJobOptions
from speechrnn.nn.language import save_language

TEXT = GenerationOptions(max_new_tokens=6, temperature=0.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = generators.tokenizer("char")
    folder = tmp_path_factory.mktemp("language")
    save_language(folder, generators.make(len(tokenizer)), tokenizer, training={})
    return folder


@pytest.fixture(scope="module")
def predictor(model: Path) -> TextPredictor:
    return TextPredictor.load(model, "cpu")


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_a_file_with_one_prompt(predictor: TextPredictor, tmp_path: Path) -> None:
    assert read_single_prompt(write(tmp_path / "a.txt", "a bad"), TEXT, predictor).text == "a bad"
    with pytest.raises(UserError, match="holds several prompts"):
        read_single_prompt(write(tmp_path / "a.txt", "a bad", "head"), TEXT, predictor)
    with pytest.raises(UserError, match=r"a\.jsonl"):
        read_single_prompt(write(tmp_path / "a.jsonl", "no JSON"), TEXT, predictor)


def test_streamed_text_is_the_completed_text(
    predictor: TextPredictor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompt = read_single_prompt(write(tmp_path / "a.txt", "a bad"), TEXT, predictor)
    printed = []
    for stream in (False, True):
        print_completions(predictor, prompt, stream)
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] and printed[0].startswith("a bad") and len(printed[0]) > len("a bad\n")


def job(model: Path, executor: Literal["local", "processes"] = "local") -> GenerationJobOptions:
    return GenerationJobOptions(model, None, False, batch_size=2, device="cpu", executor=ExecutorOptions(executor))


def test_prompts_that_fail_are_named_and_the_others_printed(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = write(tmp_path / "a.jsonl", '{"id": "x", "prompt": "a bad"}', "no JSON", '{"id": "y", "prompt": "head"}')
    assert not print_texts(job(model), TEXT, prompts)
    out, err = capsys.readouterr()
    assert [line[:4] for line in out.splitlines()] == ["a ba", "head"] and err.count("speechrnn: prompt") == 1
    assert print_texts(job(model), TEXT, write(tmp_path / "b.txt", "a bad"))


def test_another_executor_needs_a_file(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give output="):
        print_texts(job(model, "processes"), TEXT, write(tmp_path / "a.txt", "a"))


def test_a_number_takes_the_word_beside_it(
    predictor: TextPredictor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(predictor, "next_words", lambda line, count: [(f"{line}!", 0.5), ("other", 0.25)][:count])
    typed: Iterator[str] = iter(["head", "2", "9"])

    def answer(prompt: str) -> str:
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", answer)
    offer_next_words(predictor, 2)
    lines = capsys.readouterr().out.splitlines()
    assert "  1 head! (50.0%)   2 other (25.0%)" in lines
    assert "  head other" in lines and any("1 9!" in line for line in lines)  # no word 9: it is a text
