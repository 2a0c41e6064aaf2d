"""speechrnn: speech to text and text prediction with recurrent networks.

>>> from speechrnn import Transcriber
>>> Transcriber.load("outputs/demo/acoustic")("talk.wav").text  # doctest: +SKIP
'SHARKS FEED ON FISH'

>>> from speechrnn import TextPredictor
>>> TextPredictor.load("outputs/demo/language").next_words("sharks feed", k=5)  # doctest: +SKIP
[('ON', 0.98), ('AND', 0.01), ('FROM', 0.01), ('IN', 0.0), ('OR', 0.0)]
"""

from typing import TYPE_CHECKING, Any

from speechrnn.version import __version__ as __version__

if TYPE_CHECKING:
    from speechrnn.generation.predictor import TextPredictor as TextPredictor
    from speechrnn.transcription.transcriber import Transcriber as Transcriber

__all__ = ["TextPredictor", "Transcriber", "__version__"]


def __getattr__(name: str) -> Any:
    """Import torch and all that only when a name that needs it is used."""
    if name == "Transcriber":
        from speechrnn.transcription.transcriber import Transcriber

        return Transcriber
    if name == "TextPredictor":
        from speechrnn.generation.predictor import TextPredictor

        return TextPredictor
    raise AttributeError(f"module 'speechrnn' has no attribute {name!r}")
