"""Model directories: `model.safetensors` holds the weights, `model.json` all else that is needed to use them.

Loading never executes code from a file: tensors are read by safetensors, the rest is plain JSON, and the kind of
model is a name that this package knows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write
from speechrnn.version import __version__

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"


def save_model(folder: str | Path, kind: str, description: dict[str, Any], weights: dict[str, Tensor]) -> None:
    """Write a model directory; the description is written last, so that a directory with a description is whole.

    >>> save_model("models/mine", "acoustic", {"training": {}}, model.state_dict())  # doctest: +SKIP

    Args:
        folder: the directory; it is made.
        kind: "acoustic" or "language".
        description: JSON values: architecture, front end, alphabet, training summary.
        weights: the model's `state_dict()`.

    Raises:
        UserError: the directory cannot be written.
    """
    from safetensors.torch import save

    folder = Path(folder)
    versions = {"speechrnn": __version__, "torch": torch.__version__}
    with atomic_write(folder / WEIGHTS, "wb") as file:
        file.write(save({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}))
    with atomic_write(folder / DESCRIPTION) as file:
        json.dump({"kind": kind, **description, "versions": versions}, file, indent=2, ensure_ascii=False)


def load_model(folder: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read a model directory.

    >>> description, weights = load_model("outputs/demo/acoustic", "acoustic")  # doctest: +SKIP

    Args:
        folder: the directory.
        kind: the kind of model that is needed.

    Returns:
        the description (`model.json`) and the weights by name.

    Raises:
        UserError: the directory, or one of its files, is missing, damaged, or holds a model of another kind.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"There is no model directory {folder}; give the folder that holds {DESCRIPTION}.")
    for name in (DESCRIPTION, WEIGHTS):
        if not (folder / name).is_file():
            inside = [str(path.parent) for path in sorted(folder.glob(f"*/{DESCRIPTION}"))]
            hint = f"did you mean {' or '.join(inside)}?" if inside else "give the folder that a training wrote."
            raise UserError(f"{folder} is no model directory, for it has no {name}; {hint}")
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        found = description["kind"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / DESCRIPTION} is damaged ({error}); copy or train the model again.") from error
    if found != kind:
        raise UserError(f"{folder} holds a model of kind {found!r}, but this needs one of kind {kind!r}.")
    try:
        weights = load((folder / WEIGHTS).read_bytes())
    except SafetensorError as error:
        raise UserError(f"{folder / WEIGHTS} is damaged ({error}); copy or train the model again.") from error
    return description, weights


def load_weights(module: torch.nn.Module, weights: dict[str, Tensor], folder: str | Path) -> None:
    """Copy loaded weights into a module that was built from the same directory's description.

    Raises:
        UserError: names or shapes differ, so the two files do not belong together.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if expected != found:
        different = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise UserError(
            f"{Path(folder) / WEIGHTS} does not fit its {DESCRIPTION} ({different[0]} differs); "
            "they come from two models, so copy or train the model again."
        )
    module.load_state_dict(weights)
