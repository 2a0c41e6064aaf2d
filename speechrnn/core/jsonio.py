"""Read and write JSON: what is written is standard JSON, and what cannot be read is named in one sentence."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    Python's own reader takes NaN and Infinity, makes infinities of numbers with hundreds of digits, and ends in other
    errors than ValueError on deeply nested text.

    Raises:
        ValueError: no standard JSON; the message is a phrase for the middle of a sentence.

    >>> parse_json('{"wer": 0.5}')
    {'wer': 0.5}
    >>> parse_json('{"wer": NaN}')
    Traceback (most recent call last):
    ...
    ValueError: NaN is no JSON number
    """
    try:
        # Of bytes, json takes some for UTF-16.
        text = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite_float)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except json.JSONDecodeError:
        raise
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is no UTF-8") from None
    except ValueError as error:
        # Whole numbers of thousands of digits, whose message tells how to lift the limit.
        raise ValueError("a number in it is too long" if "digits" in str(error) else str(error)) from None


def finite(value: Any) -> Any:
    """Return a copy of a value with None for each number that is not finite, since JSON cannot express these.

    Mappings become dicts with text as keys, and tuples lists.

    >>> finite({"perplexity": float("inf"), "interval": (0.5, float("nan"))})
    {'perplexity': None, 'interval': [0.5, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_json(path: Path, value: Any) -> None:
    """Write a value as an indented JSON file, whole or not at all.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "metrics.json"
    >>> write_json(path, {"wer": 0.5})
    >>> print(path.read_text())
    {
      "wer": 0.5
    }
    <BLANKLINE>

    Raises:
        ValueError: a number that is not finite; see `finite`.
        UserError: the file cannot be written.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as file:
        file.write(text + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object that a file holds; {} where there is no file.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "metrics.json"
    >>> read_json(path)
    {}
    >>> write_json(path, {"wer": 0.5})
    >>> read_json(path)
    {'wer': 0.5}

    Raises:
        UserError: the file is damaged.
    """
    if not path.is_file():
        return {}
    try:
        value = parse_json(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); run the stage that writes it again.") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} is damaged (it holds no JSON object); run the stage that writes it again.")
    return value


def read_rows(path: Path, texts: Sequence[str], again: str) -> list[dict[str, Any]]:
    """Return the objects of a file of JSON lines; [] where there is no file.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "rows.jsonl"
    >>> path.write_text('{"id": "a"}\\n{"id": "b"}\\n')
    24
    >>> [row["id"] for row in read_rows(path, ["id"], "decode again")]
    ['a', 'b']

    Args:
        texts: keys that each line must have, with text as their values.
        again: what a user does to get the file again, for messages.

    Raises:
        UserError: a damaged line, as a power cut may leave it.
    """
    if not path.is_file():
        return []
    rows = []
    for line, text in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not text.strip():
            continue
        try:
            row = parse_json(text)
        except ValueError as error:
            raise UserError(f"Line {line} of {path} is no JSON ({error}); {again}.") from error
        if not (isinstance(row, dict) and all(isinstance(row.get(key), str) for key in texts)):
            names = " and ".join(f'"{key}"' for key in texts)
            raise UserError(f"Line {line} of {path} has no texts {names}; {again}.")
        rows.append(row)
    return rows


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _finite_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number in it is too large")
    return value
