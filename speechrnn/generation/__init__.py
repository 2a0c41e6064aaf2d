"""Text generation with a language model, many prompts at a time.

>>> from speechrnn.generation import GenerationOptions
>>> GenerationOptions(max_new_tokens=40, temperature=0.8).greedy
False
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechrnn.core.lazy import lazy_names

if TYPE_CHECKING:
    from speechrnn.generation.options import GenerationOptions as GenerationOptions
    from speechrnn.generation.predictor import TextPredictor as TextPredictor
    from speechrnn.generation.results import Completion as Completion
    from speechrnn.generation.results import Prompt as Prompt
    from speechrnn.generation.results import Result as Result
    from speechrnn.generation.results import Token as Token

__all__ = ["Completion", "GenerationOptions", "Prompt", "Result", "TextPredictor", "Token"]

_MODULES = {
    "options": ("GenerationOptions",),
    "predictor": ("TextPredictor",),
    "results": ("Completion", "Prompt", "Result", "Token"),
}

__getattr__ = lazy_names(__name__, _MODULES)
