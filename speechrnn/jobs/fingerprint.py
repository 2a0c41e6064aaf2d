"""Fingerprints of jobs: the settings and the contents of the files that an output depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from speechrnn.core.errors import UserError
from speechrnn.core.model_names import DESCRIPTION, WEIGHTS

SHA256 = "sha256:"  # how the digest of a file begins


def fingerprint(options: Any) -> dict[str, Any]:
    """Return all settings of a record that the output depends on, in JSON values.

    A path stands for the contents of the file or model directory there. Fields with the metadata
    `affects_output=False` are left out.

    Args:
        options: a dataclass.

    Raises:
        UserError: a file cannot be read.
    """
    return {
        field.name: _json_value(getattr(options, field.name), field.name)
        for field in fields(options)
        if field.metadata.get("affects_output", True)
    }


def _json_value(value: Any, name: str) -> Any:
    if is_dataclass(value):
        return fingerprint(value)
    if isinstance(value, Path):
        return digest_contents(value, name)
    if isinstance(value, (list, tuple)):
        return [_json_value(item, name) for item in value]
    return value


def digest_contents(path: Path, name: str) -> str:
    """Return "sha256:..." of a file, or of the files that make a model directory.

    Args:
        path: a file, or a model directory.
        name: of the key that names it, for the message.

    Raises:
        UserError: it cannot be read.
    """
    from speechrnn.decoding.model_facts import FILE as FACTS  # which `generate` does not need
    from speechrnn.decoding.tuned_weights import FILE as TUNED_WEIGHTS

    files = [path]
    if path.is_dir():  # the facts decide on the warnings of a transcript
        files = [path / part for part in (DESCRIPTION, WEIGHTS, TUNED_WEIGHTS, FACTS) if (path / part).is_file()]
    try:
        return f"{SHA256}{digest(*files)}"
    except OSError as error:
        raise UserError(f"{name}={path} cannot be read: {error.strerror or error}; check the path.") from error


def digest(*paths: Path) -> str:
    """Return the sha256 of the bytes of files, in hexadecimal digits."""
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(2**20):
                total.update(block)
    return total.hexdigest()


def check_same(before: Mapping[str, Any], now: Mapping[str, Any], output: Path) -> None:
    """Refuse to go on with an output that was made with other settings.

    Args:
        before: the fingerprint that the output was made with.
        now: the fingerprint of this command.
        output: what is there, for the message.

    Raises:
        UserError: the fingerprints differ; the first key that does is named.
    """
    before, now = flatten(before), flatten(now)
    different = next((key for key in [*now, *before] if before.get(key) != now.get(key)), None)
    if different is None:
        return
    raise UserError(
        f"{output} was made with {_describe(different, before.get(different))}: give the same keys to go on, choose "
        "another output, or overwrite=true to lose what is there."
    )


def _describe(key: str, value: Any) -> str:
    """Return KEY=VALUE, or a phrase for a file of which only the digest is known."""
    if isinstance(value, str) and value.startswith(SHA256):
        name = key.rpartition(".")[2].replace("_", " ")
        return "other prompts" if key == "prompts" else f"another {name}"
    return f"{key}={json.dumps(value, ensure_ascii=False)}"


def flatten(keys: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested keys as one types them.

    >>> flatten({"decoding": {"name": "beam"}})
    {'decoding.name': 'beam'}
    """
    flat: dict[str, Any] = {}
    for key, value in keys.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
