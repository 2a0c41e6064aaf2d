"""Find the files of a published text in the folder that a user points at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from speechrnn.core.errors import UserError
from speechrnn.data.texts import TextOptions, text_module


def locate(options: TextOptions, groups: Sequence[Sequence[str]], inside: Sequence[str] = ()) -> tuple[Path, ...]:
    """Return the files of the first group of names that is complete, in the root or in one of the folders `inside` it.

    Raises:
        UserError: no root, or none of the groups is there; says what was looked for and where.
    """
    module = text_module(options.name)
    looked = f"looked for {module.LAYOUT}"
    fetch = ", or fetch it with text.download=true" if hasattr(module, "missing_files") else ""
    root = options.root
    if root is None:
        raise UserError(f"The text {options.name} needs text.root, the folder that holds {module.LAYOUT}.")
    for folder in (root, *(root / name for name in inside)):
        for names in groups:
            if all((folder / name).is_file() for name in names):
                return tuple(folder / name for name in names)
    if not root.is_dir():
        found = "it is a file, not a folder; " if root.exists() else "it does not exist; "
    else:
        missing = [name for name in groups[0] if not (root / name).is_file()]
        found = f"{', '.join(missing)} not found there; "
    raise UserError(
        f"text.root={root} does not hold the text {options.name}: {found}{looked}; point text.root at it{fetch}."
    )
