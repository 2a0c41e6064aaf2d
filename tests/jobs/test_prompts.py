from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest
from helpers.generators import make, tokenizer

from speechrnn.core.errors import UserError
from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.predictor import TextPredictor
from speechrnn.generation.prompt_encoder import PromptEncoder
from speechrnn.generation.results import Prompt, Result
from speechrnn.jobs.prompts import count_prompts, open_prompts, read_prompts
from speechrnn.text.tokenizers import CharTokenizer

ENCODER = PromptEncoder(tokenizer("char"))
OPTIONS = GenerationOptions(seed=3)


def read(path: Path, content: str | bytes) -> list[Prompt | Result]:
    path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    items = list(read_prompts(path, OPTIONS, ENCODER))
    assert len(items) == count_prompts(path)
    return items


def test_lines_of_text(tmp_path: Path) -> None:
    first, second, third = read(tmp_path / "p.txt", "a bad\r\n\n cab ")
    assert first == Prompt(1, "a bad", ENCODER.encode("a bad"), options=OPTIONS)
    assert second == Result(2, "", error="The prompt is empty; write what the text shall begin with.")
    assert third == Prompt(3, " cab ", ENCODER.encode(" cab "), options=OPTIONS)


def test_lines_of_json_may_have_ids_and_options(tmp_path: Path) -> None:
    rows = [
        {"prompt": "a"},
        {"id": "x", "prompt": "b", "temperature": 0.5, "stop_strings": ["ab"]},
        {"id": 7, "prompt": "c\nd", "seed": 9},
    ]
    first, second, third = read(tmp_path / "p.jsonl", "\n".join(map(json.dumps, rows)))
    assert first == Prompt(1, "a", ENCODER.encode("a"), options=OPTIONS)
    assert second == Prompt(
        "x", "b", ENCODER.encode("b"), options=GenerationOptions(seed=3, temperature=0.5, stop_strings=("ab",))
    )
    assert third == Prompt(7, "c\nd", ENCODER.encode("c\nd"), options=GenerationOptions(seed=9))


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
        ('{"id": "y", "prompt": "\\ud800"}', "y", None, "half of a character"),
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


LETTERS = PromptEncoder(CharTokenizer.build([], " ADEGHILOY"))
OPEN = PromptEncoder(CharTokenizer.build([], "ab", unknown=True))
CASES = Path(__file__).parent / "prompts"


@pytest.mark.parametrize("prompt", ["\\ud800", "a\\udfffb", "\\ude00\\ud83d"])
def test_half_of_a_surrogate_pair_is_no_prompt(tmp_path: Path, prompt: str) -> None:
    lines = ['{"id": 1, "prompt": "%s"}', '{"id": "%s", "prompt": "a"}', '{"id": 3, "prompt": "\\ud83d\\ude00"}']
    (tmp_path / "p.jsonl").write_text("\n".join(lines).replace("%s", prompt))
    results = [item for item in read_prompts(tmp_path / "p.jsonl", OPTIONS, OPEN) if isinstance(item, Result)]
    assert [(result.id, result.prompt) for result in results] == [(1, None), (2, None)]
    assert "half of a character" in str(results[0].error) and "half of a character" in str(results[1].error)
    json.dumps([result.to_json() for result in results], ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("bom_crlf.txt", []),
        ("bom_crlf.jsonl", []),
        ("seed_of_400_digits.jsonl", [1]),
        ("seed_of_5000_digits.jsonl", [1]),
        ("edge_with_length_penalty.jsonl", ["a", "b", "e", "f", "h", "j", "k", 11, "l", 14, "o", 17, "q", "s"]),
    ],
)
def test_a_line_of_a_strangers_file_fails_alone(name: str, wrong: list[int | str]) -> None:
    items = list(read_prompts(CASES / name, OPTIONS, LETTERS))
    failed = [item for item in items if isinstance(item, Result)]
    assert [item.id for item in failed] == wrong
    assert all(item.error and len(item.error) < 1000 and item.error[-1] in ".?" for item in failed)
    prompts = [item for item in items if isinstance(item, Prompt)]
    assert len(prompts) + len(failed) == count_prompts(CASES / name)
    if name.startswith("bom"):
        assert [item.text for item in prompts] == ["HELLO", "GOOD DAY"]
        assert [item.id for item in prompts] == (["a", "b"] if name.endswith("l") else [1, 2])
    model = make(len(LETTERS.tokenizer))
    results = list(TextPredictor(model, LETTERS.tokenizer, "cpu").complete(items))
    assert [result.id for result in results] == [item.id for item in items]
    assert [result.id for result in results if result.error] == wrong
    json.dumps([result.to_json() for result in results], allow_nan=False)


@pytest.mark.parametrize(
    "line",
    [
        '{"id": 1%s, "prompt": "a"}' % ("0" * 400),
        '{"id": 1%s, "prompt": "a"}' % ("0" * 5000),
        '{"prompt": "a", "top_k": 1%s}' % ("0" * 400),
        '{"prompt": "a", "temperature": 1%s}' % ("0" * 400),
        '{"prompt": "a", "seed": %s}' % ("[" * 500 + "]" * 500),
        '{"prompt": "a", "seed": %s}' % ("[" * 50_000 + "]" * 50_000),
        '{"prompt": "a", "length_penalty": -1e308, "num_beams": 2}',
        '{"prompt": "a", "repetition_penalty": 0}',
        '{"prompt": "a", "num_return_sequences": 1000000000}',
        '{"prompt": "a", "stop_strings": {"a": 1}}',
        '{"prompt": "a", "bad_words": [null]}',
        '{"prompt": "a", "do_sample": "yes"}',
        '{"prompt": "a", "seed": 1.5}',
    ],
    ids=lambda line: line[:40],
)
def test_a_wrong_number_or_type_is_its_lines_error(tmp_path: Path, line: str) -> None:
    first, wrong, last = read(tmp_path / "p.jsonl", f'{{"prompt": "a"}}\n{line}\n{{"prompt": "b"}}\n')
    assert isinstance(first, Prompt) and isinstance(last, Prompt)
    assert isinstance(wrong, Result) and wrong.error and wrong.error[-1] in ".?"


def test_whatever_is_raised_over_a_line_is_its_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encode = PromptEncoder.encode

    def failing(self: PromptEncoder, text: str) -> tuple[int, ...]:
        if text == "b":
            raise OverflowError("too large")
        return encode(self, text)

    monkeypatch.setattr(PromptEncoder, "encode", failing)
    first, wrong, last = read(tmp_path / "p.txt", "a\nb\nc\n")
    assert isinstance(first, Prompt) and isinstance(last, Prompt)
    assert isinstance(wrong, Result) and "OverflowError: too large" in str(wrong.error)


@pytest.mark.parametrize("suffix", [".TXT", ".Txt", ".JSONL", ".JsonL"])
def test_suffixes_may_have_any_case(tmp_path: Path, suffix: str) -> None:
    content = "a bad" if suffix.lower() == ".txt" else '{"prompt": "a bad"}'
    (prompt,) = read(tmp_path / f"p{suffix}", content)
    assert isinstance(prompt, Prompt) and prompt.text == "a bad"


def test_standard_input_may_begin_with_a_byte_order_mark() -> None:
    with open_prompts("-", io.BytesIO(b'\xef\xbb\xbf{"prompt": "a"}\n')) as path:
        assert path.suffix == ".jsonl"
        (prompt,) = read_prompts(path, OPTIONS, ENCODER)
    assert isinstance(prompt, Prompt) and prompt.text == "a"


@pytest.mark.parametrize(
    ("content", "kind"), [("one\ntwo".encode("utf-16"), "a text in UTF-16"), (gzip.compress(b"one"), "a gzip archive")]
)
def test_a_file_of_another_kind_is_no_prompts(tmp_path: Path, content: bytes, kind: str) -> None:
    path = tmp_path / "prompts.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"prompts=.*prompts.txt seems to be {kind}; give a text in UTF-8"):
        count_prompts(path)
