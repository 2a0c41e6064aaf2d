"""Error rates, perplexity and significance of the results of recognition and language models.

The names below are imported when they are first used, since torch takes seconds to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechrnn.core.lazy import lazy_names

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

__getattr__ = lazy_names(__name__, _MODULES)
