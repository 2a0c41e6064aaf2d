"""Text generation with a language model, many prompts at a time.

>>> from speechrnn.generation import GenerationOptions
>>> GenerationOptions(max_new_tokens=40, temperature=0.8).greedy
False
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from speechrnn.generation.options import GenerationOptions as GenerationOptions
    from speechrnn.generation.predictor import TextPredictor as TextPredictor
    from speechrnn.generation.results import Completion as Completion
    from speechrnn.generation.results import Prompt as Prompt
    from speechrnn.generation.results import Result as Result
    from speechrnn.generation.results import Token as Token

__all__ = ["Completion", "GenerationOptions", "Prompt", "Result", "TextPredictor", "Token"]

_MODULES = {"GenerationOptions": "options", "TextPredictor": "predictor"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, since most of them need torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'results')}"), name)
