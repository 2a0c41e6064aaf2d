"""Public names of a folder that are imported when they are first used (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazy_names(package: str, modules: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package that imports the module of a public name on first use.

    torch takes seconds to import; a command that needs only one module of a folder does not wait for the others.

    Args:
        package: `__name__` of the package.
        modules: the public names of each of its modules.

    >>> get = lazy_names("speechrnn.core", {"config": ["nearest"]})
    >>> get("nearest")("laers", ["layers", "units"])
    ['layers']
    """
    places = {name: module for module, names in modules.items() for name in names}

    def get(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{places[name]}"), name)

    return get
