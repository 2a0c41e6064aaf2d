"""Training: one loop, and a task for each kind of model.

The names below are imported when they are first used: torch, lightning and lhotse take seconds to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechrnn.core.lazy import lazy_names

if TYPE_CHECKING:
    from speechrnn.training.acoustic import train_acoustic
    from speechrnn.training.acoustic_options import AcousticSettings, AcousticTrainerOptions
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
    "acoustic": ("train_acoustic",),
    "acoustic_options": ("AcousticSettings", "AcousticTrainerOptions"),
    "fabric": ("TrainerOptions", "make_fabric"),
    "language": ("LanguageTrainerOptions", "train_language"),
    "loop": ("Loop",),
    "task": ("State", "Task"),
}

__getattr__ = lazy_names(__name__, _MODULES)
