"""Files of prompts: one a line, or JSON lines with options of their own."""

from __future__ import annotations

import codecs
import contextlib
import json
import logging
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from speechrnn.core.config import build
from speechrnn.core.errors import UserError
from speechrnn.core.temporary import temporary_folder
from speechrnn.core.text_files import BINARY, HEAD, file_kind
from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.prompt_encoder import PromptEncoder
from speechrnn.generation.results import Prompt, Result

logger = logging.getLogger("speechrnn")
STDIN = "-"
SUFFIXES = (".txt", ".jsonl")


@contextlib.contextmanager
def open_prompts(prompts: str, stdin: BinaryIO | None = None) -> Iterator[Path]:
    """Make a file of prompts available on this machine as long as the context lasts.

    Args:
        prompts: its path; or an address that fsspec knows (`s3://bucket/prompts.jsonl`), or "-" for standard input, of
            which there will be a copy: that is .jsonl where it begins with an object.
        stdin: standard input; None for this process's own.

    Returns:
        Its path.

    Raises:
        UserError: what lies at the address cannot be fetched.
    """
    if prompts != STDIN:
        from speechrnn.jobs.storage import local_copy

        with local_copy(prompts) as path:
            yield path
        return
    with temporary_folder() as folder:
        path = folder / "standard input.txt"
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer if stdin is None else stdin, file)
        with path.open("rb") as file:
            is_json = file.read(2**10).removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{")
        yield path.rename(path.with_suffix(".jsonl")) if is_json else path


def read_prompts(path: Path, options: GenerationOptions, encoder: PromptEncoder) -> Iterator[Prompt | Result]:
    """Read the prompts of a file in order, one at a time; a line that is no prompt becomes a result with an error.

    Args:
        path: .txt: each line is a prompt, its id the number of the line (from 1). .jsonl: each line is an object with
            "prompt", perhaps "id", and the options that differ for this prompt.
        options: options of prompts that set none.
        encoder: the model's.

    Raises:
        UserError: see `count_prompts`.
    """
    count_prompts(path)
    return _read_lines(path, options, encoder)


def count_prompts(path: Path) -> int:
    """Count the lines of a file of prompts.

    Raises:
        UserError: there is no such file, it has another suffix, or holds nothing.
    """
    if not path.is_file():
        raise UserError(f"prompts={path} does not exist; give a .txt file with a prompt a line, or a .jsonl file.")
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"prompts={path} is neither .txt (a prompt a line) nor .jsonl (an object a line); rename it.")
    count, last = 0, b"\n"
    with path.open("rb") as file:
        kind = file_kind(file.read(HEAD))
        if kind not in (None, BINARY):  # a few bytes that no text holds are the failure of their lines
            raise UserError(f"prompts={path} seems to be {kind}; give a text in UTF-8, a prompt a line.")
        file.seek(0)
        while block := file.read(2**20):
            count += block.count(b"\n")
            last = block[-1:]
    count += last != b"\n"
    if not count:
        raise UserError(f"prompts={path} is empty; write a prompt a line into it.")
    return count


def _read_lines(path: Path, options: GenerationOptions, encoder: PromptEncoder) -> Iterator[Prompt | Result]:
    seen: set[str] = set()
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            id: int | str = number
            text: str | None = None
            try:
                line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                fields: dict[str, Any] = {"prompt": _decode(line)}
                if path.suffix.lower() == ".jsonl":
                    fields = _parse(fields["prompt"])
                    given = fields.pop("id", number)
                    if isinstance(given, bool) or not isinstance(given, int | str):
                        raise UserError(f'"id" is {given!r}: it must be text or a whole number.')
                    if isinstance(given, int) and abs(given) >= 2**63:
                        raise UserError('"id" is a number of more than 63 bits; write it as text.')
                    if isinstance(given, str):
                        _check_characters('"id"', given)
                    if str(given) in seen:
                        raise UserError(f"The id {given} stands on an earlier line already; each prompt needs its own.")
                    id = given
                    seen.add(str(id))
                text = _pop_prompt(fields)
                yield _make_prompt(id, text, options, changes=fields, encoder=encoder)
            except UserError as error:
                yield Result(id, text, error=str(error))
            except Exception as error:  # whatever a library raises over a line is that line's failure
                logger.debug("Line %d of %s", number, path, exc_info=True)
                reason = f"{type(error).__name__}: {str(error)[:200]}"
                yield Result(id, text, error=f"The line cannot be used ({reason}); correct it.")


def _decode(line: bytes) -> str:
    """Decode a line, without its end. UserError where it is no UTF-8."""
    try:
        return line.decode("utf-8").rstrip("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise UserError(f"The line is not UTF-8 (byte {error.start + 1}); save the file as UTF-8.") from error


def _parse(line: str) -> dict[str, Any]:
    """Parse the object of a line. UserError where it is none."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        if isinstance(error, json.JSONDecodeError):
            reason = f"{error.msg} at column {error.colno}"
        else:  # json counts its own recursion, and Python refuses whole numbers of thousands of digits
            reason = "too deep" if isinstance(error, RecursionError) else "a number has too many digits"
        raise UserError(f"The line is no JSON ({reason}); each line must be one object.") from error
    if not isinstance(fields, dict):
        raise UserError(f'The line is no JSON object but {line[:40]!r}; each must have a "prompt".')
    return fields


def _pop_prompt(fields: dict[str, Any]) -> str:
    """Take the text out of a line's fields. UserError where there is none."""
    text = fields.pop("prompt", None)
    if not isinstance(text, str):
        raise UserError('There is no "prompt" on the line, or it is no text.')
    _check_characters('"prompt"', text)
    return text


def _check_characters(key: str, text: str) -> None:
    """Raise UserError where a text holds half of a surrogate pair, which JSON can escape and no UTF-8 can write."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(text[error.start]):04x}"
        raise UserError(f"{key} holds {half}, half of a character, at place {error.start + 1}; correct it.") from error


def _make_prompt(
    id: int | str, text: str, options: GenerationOptions, changes: dict[str, Any], encoder: PromptEncoder
) -> Prompt:
    """Make a prompt with the options of its line.

    Raises:
        UserError: it is empty, holds unknown characters, or `changes` are wrong options.
    """
    if changes:
        options = build(GenerationOptions, {**asdict(options), **changes}, "")
    prompt = encoder.prompt(text, options, id)
    if not prompt.tokens:
        raise UserError("The prompt is empty; write what the text shall begin with.")
    return prompt
