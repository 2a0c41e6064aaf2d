"""Files of prompts: one a line, or JSON lines with options of their own."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from speechrnn.core.config import build
from speechrnn.core.errors import UserError
from speechrnn.generation.detokenizer import Spelling
from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.results import Prompt, Result

STDIN = "-"


@contextlib.contextmanager
def at_hand(prompts: str, stdin: BinaryIO | None = None) -> Iterator[Path]:
    """The file of prompts that is meant, as long as it is needed.

    Args:
        prompts: its path; or an address that fsspec knows (`s3://bucket/prompts.jsonl`), or "-" for standard input, of
            which there will be a copy: that is .jsonl where it begins with an object.
        stdin: standard input; None for this process's own.

    Raises:
        UserError: what lies at the address cannot be fetched.
    """
    if prompts != STDIN:
        from speechrnn.jobs.storage import local_copy

        with local_copy(prompts) as path:
            yield path
        return
    with tempfile.TemporaryDirectory(prefix="speechrnn-") as folder:
        path = Path(folder) / "standard input.txt"
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer if stdin is None else stdin, file)
        with path.open("rb") as file:
            is_json = file.read(2**10).lstrip().startswith(b"{")
        yield path.rename(path.with_suffix(".jsonl")) if is_json else path


def read_prompts(path: Path, options: GenerationOptions, spelling: Spelling) -> Iterator[Prompt | Result]:
    """The prompts of a file in order, one at a time; a line that is no prompt becomes a result that says why.

    Args:
        path: .txt: each line is a prompt, its id the number of the line (from 1). .jsonl: each line is an object with
            "prompt", perhaps "id", and whatever options shall differ for this prompt.
        options: for prompts that say nothing else.

    Raises:
        UserError: see `count_prompts`.
    """
    count_prompts(path)
    return lines(path, options, spelling)


def count_prompts(path: Path) -> int:
    """The number of lines of a file of prompts.

    Raises:
        UserError: there is no such file, it has another suffix, or holds nothing.
    """
    if not path.is_file():
        raise UserError(f"prompts={path} does not exist; give a .txt file with a prompt a line, or a .jsonl file.")
    if path.suffix not in (".txt", ".jsonl"):
        raise UserError(f"prompts={path} is neither .txt (a prompt a line) nor .jsonl (an object a line); rename it.")
    count, last = 0, b"\n"
    with path.open("rb") as file:
        while block := file.read(2**20):
            count += block.count(b"\n")
            last = block[-1:]
    count += last != b"\n"
    if not count:
        raise UserError(f"prompts={path} is empty; write a prompt a line into it.")
    return count


def lines(path: Path, options: GenerationOptions, spelling: Spelling) -> Iterator[Prompt | Result]:
    """What `read_prompts` gives."""
    seen: set[str] = set()
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            id: int | str = number
            text: str | None = None
            try:
                fields: dict[str, Any] = {"prompt": decode(line)}
                if path.suffix == ".jsonl":
                    fields = parse(fields["prompt"])
                    given = fields.pop("id", number)
                    if isinstance(given, bool) or not isinstance(given, int | str):
                        raise UserError(f'"id" is {given!r}: it must be text or a whole number.')
                    if str(given) in seen:
                        raise UserError(f"The id {given} stands on an earlier line already; each prompt needs its own.")
                    id = given
                    seen.add(str(id))
                text = prompt_of(fields)
                yield make_prompt(id, text, options, fields, spelling)
            except UserError as error:
                yield Result(id, text, error=str(error))


def decode(line: bytes) -> str:
    """A line without its end. UserError where it is no UTF-8."""
    try:
        return line.decode("utf-8").rstrip("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise UserError(f"The line is not UTF-8 (byte {error.start + 1}); save the file as UTF-8.") from error


def parse(line: str) -> dict[str, Any]:
    """The object of a line. UserError where it is none."""
    try:
        fields = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        reason = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else "too deep"
        raise UserError(f"The line is no JSON ({reason}); each line must be one object.") from error
    if not isinstance(fields, dict):
        raise UserError(f'The line is no JSON object but {line[:40]!r}; each must have a "prompt".')
    return fields


def prompt_of(fields: dict[str, Any]) -> str:
    """Takes the text out of a line's fields."""
    text = fields.pop("prompt", None)
    if not isinstance(text, str):
        raise UserError('There is no "prompt" on the line, or it is no text.')
    return text


def make_prompt(
    id: int | str, text: str, options: GenerationOptions, changes: dict[str, Any], spelling: Spelling
) -> Prompt:
    """A prompt of a file, ready to go on from.

    Raises:
        UserError: it is empty, holds unknown characters, or `changes` are no right options.
    """
    if changes:
        options = build(GenerationOptions, {**asdict(options), **changes}, "")
    tokens = spelling.encode(text)
    if not tokens:
        raise UserError("The prompt is empty; write what the text shall begin with.")
    return Prompt(id, text, tokens, options)
