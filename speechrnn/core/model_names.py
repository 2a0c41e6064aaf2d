"""Find models by name or directory: models that come with the package or lie in the user's model folders.

A model that has a name is a bundle, a folder NAME/ with the model directories `acoustic/` and `language/` (or one of
them) and, for the beam search, an n-gram file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from speechrnn.core.errors import UserError
from speechrnn.core.files import expand_user, is_file, is_folder

PRETRAINED = Path(__file__).parents[1] / "pretrained"
VARIABLE = "SPEECHRNN_MODELS"  # folders of bundles, separated as those of PATH
DESCRIPTION = "model.json"  # the file that makes a folder a model directory
WEIGHTS = "model.safetensors"  # the other file of a model directory
KINDS = ("acoustic", "language")
SHIPPED = ("english",)  # names of the bundles that the package comes with


def find_model(name_or_path: str | Path) -> Path:
    """Return the directory of a model: a model directory, a bundle, or any other directory that exists.

    A directory is taken as it is. A name that is no directory with a model in it is looked up in the package's folder
    `pretrained/`, in the folders of the environment variable SPEECHRNN_MODELS, and in
    `~/.local/share/speechrnn/models`, in this order.

    >>> find_model("english").name  # doctest: +SKIP
    'english'

    Args:
        name_or_path: "english", "outputs/demo/acoustic", "~/models/mine".

    Raises:
        UserError: there is neither such a directory nor a model of that name; the message lists the names there are,
            or says that the path is a file.
    """
    if not isinstance(name_or_path, (str, Path)) or not str(name_or_path):
        raise UserError(f"A model has a name such as english, or a directory, but not {name_or_path!r}.")
    path = expand_user(name_or_path)
    exists = is_folder(path)
    if exists and _holds_model(path):
        return path
    name = str(name_or_path)
    # A path is never looked up: `./english` is a folder here, and `../x` would leave the folders of models.
    if name not in ("", ".", "..") and name == Path(name).name:
        for folder in model_folders():
            if is_folder(folder / name) and _holds_model(folder / name):
                return folder / name
    if exists:  # without a model: the function that loads it reports what is missing
        return path
    if name in SHIPPED:
        raise UserError(
            f"The model {name} is not part of this installation ({PRETRAINED / name} is missing): install one "
            "that has it, or give the directory of a model, as in model=outputs/demo/acoustic after speechrnn demo."
        )
    names = model_names()
    nowhere = f"there is none in the package, in ${VARIABLE} and in ~/.local/share/speechrnn/models"
    there = f"known names: {', '.join(names)}" if names else nowhere
    if is_file(path):
        if path.name in (DESCRIPTION, WEIGHTS):
            raise UserError(f"{name_or_path} is a file of a model: give its folder, {path.parent}.")
        raise UserError(
            f"{name_or_path} is a file and no model: give a name, or a directory with {DESCRIPTION} and {WEIGHTS}; "
            f"{there}."
        )
    raise UserError(f"There is no model directory {name_or_path} and no model of that name; {there}.")


def find_model_directory(name_or_path: str | Path, kind: str) -> Path:
    """Return the model directory of a kind: the directory itself, or that of the kind in a bundle.

    >>> find_model_directory("english", "acoustic").name  # doctest: +SKIP
    'acoustic'

    Args:
        name_or_path: see `find_model`.
        kind: "acoustic" or "language".

    Raises:
        UserError: see `find_model`.
    """
    path = find_model(name_or_path)
    inside = path / kind
    return inside if not (path / DESCRIPTION).is_file() and (inside / DESCRIPTION).is_file() else path


def bundle_of(model: Path) -> Path | None:
    """Return the bundle that a model directory is a part of, where it lies in a folder of models; None elsewhere.

    >>> bundle_of(Path("recordings/acoustic")) is None
    True
    """
    bundle = model.absolute().parent
    folders = {folder.absolute() for folder in model_folders()}
    return bundle if model.name in KINDS and bundle.parent in folders else None


def is_shipped(model: Path) -> bool:
    """Return whether a model directory lies in the package.

    >>> is_shipped(Path("outputs/demo/acoustic"))
    False
    """
    return PRETRAINED.resolve() in model.resolve().parents


def model_names() -> list[str]:
    """Return the names of all bundles in the folders of models, sorted."""
    found: set[str] = set()
    for folder in model_folders():
        try:
            found.update(path.name for path in folder.iterdir() if path.is_dir() and _holds_model(path))
        except OSError:  # not there, or not to be read
            continue
    return sorted(found)


def model_folders() -> Iterator[Path]:
    """Yield the folders that names are looked up in, in their order; they need not exist."""
    yield PRETRAINED
    for part in (*os.environ.get(VARIABLE, "").split(os.pathsep), "~/.local/share/speechrnn/models"):
        if part:
            with contextlib.suppress(UserError):  # a user without a home folder, as in a container
                yield expand_user(part)


def _holds_model(path: Path) -> bool:
    """Return whether a directory is a model directory or a bundle."""
    return any((path / part / DESCRIPTION).is_file() for part in ("", *KINDS))
