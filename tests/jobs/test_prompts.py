from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.generators import tokenizer

from speechrnn.core.errors import UserError
from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.prompt_encoder import PromptEncoder
from speechrnn.generation.results import Prompt, Result
from speechrnn.jobs.prompts import count_prompts, read_prompts

ENCODER = PromptEncoder(tokenizer("char"))
OPTIONS = GenerationOptions(seed=3)


def read(path: Path, content: str | bytes) -> list[Prompt | Result]:
    path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    items = list(read_prompts(path, OPTIONS, ENCODER))
    assert len(items) == count_prompts(path)
    return items


def test_lines_of_text(tmp_path: Path) -> None:
    first, second, third = read(tmp_path / "p.txt", "a bad\r\n\n cab ")
    assert first == Prompt(1, "a bad", ENCODER.encode("a bad"), OPTIONS)
    assert second == Result(2, "", error="The prompt is empty; write what the text shall begin with.")
    assert third == Prompt(3, " cab ", ENCODER.encode(" cab "), OPTIONS)


def test_lines_of_json_may_have_ids_and_options(tmp_path: Path) -> None:
    rows = [
        {"prompt": "a"},
        {"id": "x", "prompt": "b", "temperature": 0.5, "stop_strings": ["ab"]},
        {"id": 7, "prompt": "c\nd", "seed": 9},
    ]
    first, second, third = read(tmp_path / "p.jsonl", "\n".join(map(json.dumps, rows)))
    assert first == Prompt(1, "a", ENCODER.encode("a"), OPTIONS)
    assert second == Prompt(
        "x", "b", ENCODER.encode("b"), GenerationOptions(seed=3, temperature=0.5, stop_strings=("ab",))
    )
    assert third == Prompt(7, "c\nd", ENCODER.encode("c\nd"), GenerationOptions(seed=9))


@pytest.mark.parametrize(
    ("line", "id", "prompt", "sentence"),
    [
        ("{broken", 2, None, "The line is no JSON (Expecting property name enclosed in double quotes at column 2)"),
        ("", 2, None, "The line is no JSON"),
        ("[" * 100000, 2, None, "The line is no JSON"),
        ("[1]", 2, None, "The line is no JSON object but '[1]'"),
        ('{"id": "y"}', "y", None, 'There is no "prompt" on the line'),
        ('{"id": "y", "prompt": 3}', "y", None, 'There is no "prompt" on the line'),
        ('{"id": true, "prompt": "a"}', 2, None, '"id" is True'),
        ('{"id": [1], "prompt": "a"}', 2, None, '"id" is [1]'),
        ('{"id": "x", "prompt": "a"}', 2, None, "The id x stands on an earlier line already"),
        ('{"id": "y", "prompt": ""}', "y", "", "The prompt is empty"),
        ('{"id": "y", "prompt": "zoo"}', "y", "zoo", "holds 'o' (U+006F), 'z' (U+007A)"),
        ('{"id": "y", "prompt": "a", "temprature": 1}', "y", "a", "No key temprature; did you mean temperature?"),
        ('{"id": "y", "prompt": "a", "top_k": "many"}', "y", "a", "top_k=many is wrong"),
        ('{"id": "y", "prompt": "a", "max_new_tokens": 0}', "y", "a", "max_new_tokens=0 is wrong"),
        ('{"id": "y", "prompt": "a", "min_new_tokens": 1000}', "y", "a", "min_new_tokens=1000 is more than"),
        ('{"id": "y", "prompt": "\\ud800"}', "y", "\ud800", "which the model does not know"),
    ],
)
def test_a_line_that_is_no_prompt_says_why_and_the_rest_goes_on(
    tmp_path: Path, line: str, id: int | str, prompt: str | None, sentence: str
) -> None:
    first, wrong, last = read(tmp_path / "p.jsonl", f'{{"id": "x", "prompt": "a"}}\n{line}\n{{"prompt": "b"}}\n')
    assert isinstance(first, Prompt) and isinstance(last, Prompt) and last.id == 3
    assert isinstance(wrong, Result) and (wrong.id, wrong.prompt) == (id, prompt)
    assert wrong.error is not None and sentence in wrong.error and wrong.error[-1] in ".?"


def test_an_id_may_not_be_anothers_line_number(tmp_path: Path) -> None:
    _, second = read(tmp_path / "p.jsonl", '{"id": "2", "prompt": "a"}\n{"prompt": "b"}\n')
    assert isinstance(second, Result) and "The id 2 stands on an earlier line" in str(second.error)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    first, second = read(tmp_path / "p.txt", b"a\xff\nb\n")
    assert isinstance(first, Result) and "is not UTF-8 (byte 2)" in str(first.error)
    assert isinstance(second, Prompt)


def test_a_file_of_prompts_is_read_as_it_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    path.write_text("a\n" * 100000)
    items = read_prompts(path, OPTIONS, ENCODER)
    next(items)
    with path.open("a") as file:
        file.write("b")
    assert sum(1 for _ in items) == 100000


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [("none.txt", None, "does not exist"), ("p.csv", "a", "neither .txt"), ("p.txt", "", "is empty")],
)
def test_a_file_that_is_no_file_of_prompts(tmp_path: Path, name: str, content: str | None, sentence: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=sentence):
        read_prompts(tmp_path / name, OPTIONS, ENCODER)
