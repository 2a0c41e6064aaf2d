"""Sources of training data: the options that corpora and texts share, and the look-up of a source by name.

Each kind of source is a module with one function, whose keyword arguments are that kind's own config keys.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, make_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, get_type_hints

from speechrnn.core.config import build, did_you_mean
from speechrnn.core.errors import UserError


@dataclass(frozen=True)
class SourceOptions:
    """The keys that every source has."""

    name: str
    root: Path | None = None
    download: bool = False

    @property
    def own(self) -> dict[str, Any]:
        """Return the keys of this kind only, with their values: the keyword arguments of its module's function."""
        return {key.name: getattr(self, key.name) for key in fields(self) if key.metadata.get("own")}

    def plain(self) -> dict[str, Any]:
        """Return the options that change the prepared data (`root` and `download` do not), as JSON values."""
        values = {key: value for key, value in asdict(self).items() if key != "download"}
        return {**values, "root": None if self.root is None else str(self.root)}


OptionsT = TypeVar("OptionsT", bound=SourceOptions)


def source_module(group: str, modules: Mapping[str, str], name: str) -> ModuleType:
    """Import the module of the source `name`; UserError names the nearest valid one."""
    if name not in modules:
        raise UserError(f"{group}.name={name} is none of {', '.join(modules)}{did_you_mean(name, modules)}")
    return importlib.import_module(modules[name])


def source_options(
    group: str, modules: Mapping[str, str], function: str, shared: type[OptionsT], config: Mapping[str, Any]
) -> OptionsT:
    """Return the options of a config group.

    Args:
        group: its name, for messages.
        modules: of each kind of source.
        function: of the module, whose arguments but for the first are the kind's own keys.
        shared: the keys of all kinds.

    Raises:
        UserError: an unknown source or key (names the nearest valid one), a wrong value, or a root that is not set.
    """
    called = getattr(source_module(group, modules, str(config.get("name", ""))), function)
    hints = get_type_hints(called)
    own = list(inspect.signature(called).parameters.values())[1:]
    schema: type[OptionsT] = make_dataclass(
        shared.__name__,
        [(key.name, hints[key.name], field(default=key.default, metadata={"own": True})) for key in own],
        bases=(shared,),
        frozen=True,
    )
    options = build(schema, config, group)
    if str(options.root) == "???":
        raise UserError(
            f"{group}.root is not set: give the folder of {options.name}, as in {group}.root=data/{options.name}."
        )
    return options


def download_list(
    group: str, module: ModuleType, options: SourceOptions, name: str
) -> tuple[Callable[..., list[Any]], Path]:
    """Return the function that lists what a source lacks, and the folder that it is downloaded into.

    Args:
        group: the config group, for messages.
        module: of the source.
        options: of the source.
        name: of the module's function.

    Raises:
        UserError: the source has nothing to download, or its root is not given.
    """
    missing: Callable[..., list[Any]] | None = getattr(module, name, None)
    if missing is None:
        nothing = f"The {group} {options.name} has nothing to download; set {group}.download=false."
        raise UserError(getattr(module, "HOW_TO_GET", nothing))
    if options.root is None:
        raise UserError(f"{group}.download=true needs {group}.root, the folder to put {options.name} into.")
    return missing, options.root
