"""Neural networks: recurrent layers, the acoustic model, the language model, and model directories.

The names below are imported when they are first used, since torch takes seconds to import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from speechrnn.nn.acoustic import AcousticModel, AcousticOptions, ctc_loss, load_acoustic, save_acoustic
    from speechrnn.nn.checkpoint import load_model, save_model
    from speechrnn.nn.language import LanguageModel, LanguageOptions, load_language, save_language
    from speechrnn.nn.recurrent import RecurrentLayer, RecurrentOptions, RecurrentStack

__all__ = [
    "AcousticModel",
    "AcousticOptions",
    "LanguageModel",
    "LanguageOptions",
    "RecurrentLayer",
    "RecurrentOptions",
    "RecurrentStack",
    "ctc_loss",
    "load_acoustic",
    "load_language",
    "load_model",
    "save_acoustic",
    "save_language",
    "save_model",
]

_MODULES = {
    "acoustic": ("AcousticModel", "AcousticOptions", "ctc_loss", "load_acoustic", "save_acoustic"),
    "checkpoint": ("load_model", "save_model"),
    "language": ("LanguageModel", "LanguageOptions", "load_language", "save_language"),
    "recurrent": ("RecurrentLayer", "RecurrentOptions", "RecurrentStack"),
}


def __getattr__(name: str) -> Any:
    """Import the module of a public name on first use (PEP 562)."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
