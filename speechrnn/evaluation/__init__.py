"""Error rates, perplexity and significance of the results of recognition and language models.

The names below are imported when they are first used, since torch takes seconds to import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from speechrnn.evaluation.metrics import (
        Errors,
        align,
        bootstrap_interval,
        character_errors,
        compare,
        matched_pairs,
        score,
        word_errors,
    )
    from speechrnn.evaluation.perplexity import score_text

__all__ = [
    "Errors",
    "align",
    "bootstrap_interval",
    "character_errors",
    "compare",
    "matched_pairs",
    "score",
    "score_text",
    "word_errors",
]

_MODULES = {
    "metrics": (
        "Errors",
        "align",
        "bootstrap_interval",
        "character_errors",
        "compare",
        "matched_pairs",
        "score",
        "word_errors",
    ),
    "perplexity": ("score_text",),
}


def __getattr__(name: str) -> Any:
    """Import the module of a public name on first use (PEP 562)."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
