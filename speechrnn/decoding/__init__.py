"""From the acoustic model's log-probabilities to words: hypotheses, search, and alignment.

The names below are imported when they are first used, since torch takes seconds to import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from speechrnn.decoding.beam_search import BeamOptions
    from speechrnn.decoding.decoder import BeamDecoder, Decoder, GreedyDecoder, make_decoder
    from speechrnn.decoding.fusion import DecodingOptions
    from speechrnn.decoding.hypothesis import DecodingResult, Hypothesis, Word

__all__ = [
    "BeamDecoder",
    "BeamOptions",
    "Decoder",
    "DecodingOptions",
    "DecodingResult",
    "GreedyDecoder",
    "Hypothesis",
    "Word",
    "make_decoder",
]

_MODULES = {
    "beam_search": ("BeamOptions",),
    "decoder": (
        "BeamDecoder",
        "Decoder",
        "GreedyDecoder",
        "make_decoder",
    ),
    "fusion": ("DecodingOptions",),
    "hypothesis": (
        "DecodingResult",
        "Hypothesis",
        "Word",
    ),
}


def __getattr__(name: str) -> Any:
    """Import the module of a public name on first use (PEP 562)."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
