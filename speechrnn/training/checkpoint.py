"""Checkpoints of a training: reading them, and whether they belong to it."""

from __future__ import annotations

import logging
import math
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, BinaryIO

import torch

from speechrnn.core.errors import UserError
from speechrnn.training.plan import Plan
from speechrnn.training.task import State

logger = logging.getLogger("speechrnn")
LAST, BEST = "last.ckpt", "best.ckpt"  # the newest checkpoint of a training, and that of its best epoch
KEYS = {"model", "average", "optimiser", "averaged_since", "carried", "scaler", "state", "fingerprint"}


class UnreadableCheckpointError(UserError):
    """A checkpoint whose bytes are not those that were written."""


def restore_newest(folder: Path, restore: Callable[[Path], bool]) -> bool:
    """Restore a training from its newest checkpoint, or from that of its best epoch where the newest is damaged.

    What comes after the best epoch is done again, on a CPU with the same bits.

    Args:
        folder: of `last.ckpt` and `best.ckpt`.
        restore: restores the training from a file; returns whether the file exists.

    Returns:
        whether there is a checkpoint.

    Raises:
        UserError: the newest is damaged and no other is whole, or it is of another training.
    """
    try:
        return restore(folder / LAST)
    except UnreadableCheckpointError as error:
        try:
            restored = restore(folder / BEST)
        except UserError:
            restored = False
        if not restored:
            raise
        logger.warning("The checkpoint %s is damaged; going on from %s.", folder / LAST, BEST)
        logger.debug("%s", error)
        return True


def read_checkpoint(
    path: Path, fingerprint: dict[str, Any], device: torch.device, defaults: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Read a checkpoint. Code that a file may hold does not run.

    Args:
        path: the file.
        fingerprint: of the training that is to be resumed.
        device: where its tensors go.
        defaults: values of options that the version which wrote a checkpoint did not have.

    Returns:
        the contents that `Loop.save` wrote, with a `State` as "state".

    Raises:
        UserError: the file is damaged, is no checkpoint, or is of another training.
    """
    saved = _load(path, device)
    recorded = _recorded(saved, fingerprint, defaults or {})
    unrecorded = fingerprint.keys() - recorded.keys()
    if unrecorded:
        raise UserError(
            f"The checkpoint {path} is of an older version and does not record which {sorted(unrecorded)[0]} it "
            "belongs to; start afresh with restart=true or use another name=."
        )
    if recorded != fingerprint:
        raise UserError(
            f"The checkpoint {path} comes from another configuration "
            f"({describe_changes(recorded, fingerprint)}); use another name= or restart=true."
        )
    for key in ("model", "average"):
        _check_weights(saved[key], key, path)
    saved["state"] = _read_state(saved["state"], path)
    return saved


def remove_other(folder: Path, fingerprint: dict[str, Any], defaults: Mapping[str, Any]) -> None:
    """Remove the checkpoints in a folder if they are of another training, and log what has changed.

    Args:
        folder: of `last.ckpt` and `best.ckpt`.
        fingerprint: of the training that is wanted.
        defaults: see `read_checkpoint`.

    Raises:
        UserError: the newest is no checkpoint, or is damaged and no other is whole.
    """
    recorded: dict[str, Any] = {}

    def read(path: Path) -> bool:
        if path.exists():
            recorded.update(_recorded(_load(path, torch.device("cpu")), fingerprint, defaults))
        return path.exists()

    if restore_newest(folder, read) and recorded != fingerprint:
        logger.info("The language model of this run is trained anew: %s.", describe_changes(recorded, fingerprint))
        for name in (BEST, LAST):
            (folder / name).unlink(missing_ok=True)


def damaged(path: Path, reason: str, kind: type[UserError] = UserError) -> UserError:
    """Return the error of a file that is no checkpoint of this training."""
    gain = " to get the model of the last epoch" if path.name == BEST else ""
    return kind(f"The checkpoint {path} is damaged ({reason}); remove it{gain}, or start afresh with restart=true.")


def describe_changes(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Return the first three entries in which two fingerprints differ, as text.

    >>> describe_changes({"layers": 3, "units": 8}, {"layers": 4, "units": 8})
    'layers was 3, is 4'
    >>> describe_changes({"training data": 64 * "a"}, {"training data": 64 * "b"})
    'the training data has changed'
    """
    changes = []
    for key in sorted(old.keys() | new.keys(), key=str):
        was, now = old.get(key), new.get(key)
        if was != now:
            digest = any(isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) for value in (was, now))
            changes.append(f"the {key} has changed" if digest else f"{key} was {was!r}, is {now!r}")
    return "; ".join(changes[:3])


def _load(path: Path, device: torch.device) -> dict[str, Any]:
    """Return the contents of a checkpoint, its parts not checked. Code that it may hold does not run."""
    try:
        with path.open("rb") as file:
            part = _changed_part(file)
            file.seek(0)
            saved = None if part else torch.load(file, map_location=device, weights_only=True)
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise UserError(f"The checkpoint {path} does not fit into memory; free some.") from error
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise UserError(f"The checkpoint {path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # torch raises many kinds for a damaged file
        raise damaged(path, "torch cannot read it", UnreadableCheckpointError) from error
    if part is not None:
        raise damaged(path, f"{part} is not what was written", UnreadableCheckpointError)
    if not isinstance(saved, dict) or not saved.keys() >= KEYS or not isinstance(saved["fingerprint"], dict):
        raise damaged(path, "it holds something else")
    return saved


def _changed_part(file: BinaryIO) -> str | None:
    """Return the name of a part that is not what its checksum says; torch writes checksums and does not read them.

    Raises:
        Exception: the file is no archive.
    """
    with zipfile.ZipFile(file) as archive:
        name = archive.testzip()
    return name and name.partition("/")[2]


def _recorded(saved: dict[str, Any], fingerprint: dict[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fingerprint of a checkpoint, with the defaults of options that its version did not have."""
    return {**{key: value for key, value in defaults.items() if key in fingerprint}, **saved["fingerprint"]}


def _check_weights(weights: Any, key: str, path: Path) -> None:
    """Check that a state dict holds tensors of finite numbers."""
    if not isinstance(weights, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in weights.values()):
        raise damaged(path, f"{key} holds something else than tensors")
    for name, tensor in weights.items():
        if not bool(torch.isfinite(tensor).all()):
            raise damaged(path, f"{name} of {key} holds numbers that are not finite")


def _read_state(values: Any, path: Path) -> State:
    """Return a training's state from its fields, whose types are checked."""
    try:
        state = State(**values)
    except TypeError as error:
        raise damaged(path, "its state is no training's") from error
    for key, default in vars(State()).items():
        value = getattr(state, key)
        kinds = (int, float) if isinstance(default, float) else type(default)
        if not isinstance(value, kinds) or (isinstance(default, int) and key != "best_epoch" and value < 0):
            raise damaged(path, f"its state has {key}={str(value)[:40]}")
    if state.plan and not _is_plan(state.plan):
        raise damaged(path, f"its state has plan={str(state.plan)[:40]}")
    return state


def _is_plan(plan: dict[Any, Any]) -> bool:
    """Return whether the fields are those of a plan."""
    known = plan.keys() == {field.name for field in fields(Plan)}
    return known and all(type(value) in (int, float) and math.isfinite(value) and value >= 0 for value in plan.values())
