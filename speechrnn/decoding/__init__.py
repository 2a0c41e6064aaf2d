"""From the acoustic model's log-probabilities to words: hypotheses, search, and alignment.

The names below are imported when they are first used, since torch takes seconds to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechrnn.core.lazy import lazy_names

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

__getattr__ = lazy_names(__name__, _MODULES)
