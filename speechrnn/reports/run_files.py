"""Parse the files of a run's folder into records: every field is checked, and each error names the file and the key."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from speechrnn.core.config import build
from speechrnn.core.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class ShortUtterance:
    """A training utterance with fewer frames than its text needs."""

    id: str = ""
    frames: int = 0
    needed: int = 0


@dataclass(frozen=True)
class TrainingSummary:
    """Training summary of model.json.

    Attributes:
        best_epoch: with the best result on dev; -1 without a dev part.
        seconds: time by kind of work.
        history: one record an epoch; what is missing or was not finite is None.
    """

    parameters: int = 0
    epochs: int = 0
    best_epoch: int = -1
    seconds: dict[str, float] = field(default_factory=dict)
    tokens_per_second: float | None = None
    history: tuple[dict[str, float | None], ...] = ()
    left_out: tuple[ShortUtterance, ...] = ()


def parse(cls: type[T], value: object, path: Path, key: str = "") -> T:
    """Make a dataclass of a JSON object; keys that the dataclass does not have are left out.

    Args:
        path, key: where the object stands, for messages.

    Raises:
        UserError: a value of another type.
    """
    try:
        return build(cls, _known(cls, value), key)
    except UserError as error:
        raise UserError(f"{path} is damaged ({str(error).rstrip('.')}); run the stage that writes it again.") from error


def keeps_best_epoch(config: str) -> bool:
    """Return whether a run saves the weights of its best epoch: `trainer.keep` in the text of its config.yaml."""
    try:
        return str(yaml.safe_load(config)["trainer"]["keep"]) == "best"
    except (yaml.YAMLError, KeyError, TypeError):
        return True  # the default


@functools.cache
def _nested(cls: type) -> dict[str, tuple[bool, type | None]]:
    """Return of each field whether it is a dictionary, and the dataclass that it or its items are."""
    fields = {}
    for name, hint in typing.get_type_hints(cls).items():
        classes = [item for item in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(item)]
        fields[name] = (typing.get_origin(hint) is dict, classes[0] if classes else None)
    return fields  # type: ignore[return-value]


def _known(cls: type, value: object) -> Any:
    """Return a JSON value without the keys that its dataclass does not have."""
    if not isinstance(value, Mapping):
        return value
    known = {}
    for name, (is_dictionary, inside) in _nested(cls).items():
        if name not in value:
            continue
        item = value[name]
        if inside is None:
            known[name] = item
        elif isinstance(item, list):
            known[name] = [_known(inside, entry) for entry in item]
        elif is_dictionary and isinstance(item, Mapping):
            known[name] = {key: _known(inside, entry) for key, entry in item.items()}
        else:
            known[name] = _known(inside, item)
    return known


def select_group(value: Mapping[str, Any], key: str, path: Path) -> Mapping[str, Any]:
    """Return a group of keys; {} where there is none. UserError where it is something else."""
    group = value.get(key) or {}
    if not isinstance(group, Mapping):
        raise UserError(f"{path} is damaged ({key} is no group of keys); run the stage that writes it again.")
    return group


def read_training(path: Path, description: Mapping[str, Any]) -> tuple[TrainingSummary, dict[str, str]]:
    """Return the training summary and the versions of a model.json."""
    versions = {str(name): str(version) for name, version in select_group(description, "versions", path).items()}
    return parse(TrainingSummary, select_group(description, "training", path), path, key="training"), versions


def read_config(folder: Path) -> str:
    """Return the text of a run's config.yaml; "" where there is none."""
    path = folder / "config.yaml"
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
