"""Training: one loop, and a task for each kind of model.

The names below are imported when they are first used: torch, lightning and lhotse take seconds to import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from speechrnn.training.acoustic import AcousticSettings, AcousticTrainerOptions, train_acoustic
    from speechrnn.training.fabric import TrainerOptions, make_fabric
    from speechrnn.training.language import LanguageTrainerOptions, train_language
    from speechrnn.training.loop import Loop
    from speechrnn.training.task import State, Task

__all__ = [
    "AcousticSettings",
    "AcousticTrainerOptions",
    "LanguageTrainerOptions",
    "Loop",
    "State",
    "Task",
    "TrainerOptions",
    "make_fabric",
    "train_acoustic",
    "train_language",
]

_MODULES = {
    "acoustic": ("AcousticSettings", "AcousticTrainerOptions", "train_acoustic"),
    "fabric": ("TrainerOptions", "make_fabric"),
    "language": ("LanguageTrainerOptions", "train_language"),
    "loop": ("Loop",),
    "task": ("State", "Task"),
}


def __getattr__(name: str) -> Any:
    """Import the module of a public name on first use (PEP 562)."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
