"""Neural networks: recurrent layers, the acoustic model, the language model, and model directories.

The names below are imported when they are first used, since torch takes seconds to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechrnn.core.lazy import lazy_names

if TYPE_CHECKING:
    from speechrnn.nn.acoustic import AcousticModel, AcousticOptions, load_acoustic, save_acoustic
    from speechrnn.nn.checkpoint import load_model, save_model
    from speechrnn.nn.ctc import ctc_loss
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
    "acoustic": ("AcousticModel", "AcousticOptions", "load_acoustic", "save_acoustic"),
    "checkpoint": ("load_model", "save_model"),
    "ctc": ("ctc_loss",),
    "language": ("LanguageModel", "LanguageOptions", "load_language", "save_language"),
    "recurrent": ("RecurrentLayer", "RecurrentOptions", "RecurrentStack"),
}

__getattr__ = lazy_names(__name__, _MODULES)
