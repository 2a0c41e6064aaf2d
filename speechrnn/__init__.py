"""speechrnn: speech to text and text prediction with recurrent networks.

>>> from speechrnn import Transcriber
>>> Transcriber.load("outputs/demo/acoustic")("talk.wav").text

>>> from speechrnn import TextPredictor
>>> TextPredictor.load("outputs/demo/language").next_words("sharks feed", k=5)
"""

from typing import Any

from speechrnn.version import __version__ as __version__

__all__ = ["TextPredictor", "Transcriber"]


def __getattr__(name: str) -> Any:
    """Imports torch and all that only when something that needs it is asked for."""
    if name == "Transcriber":
        from speechrnn.transcription.transcriber import Transcriber

        return Transcriber
    if name == "TextPredictor":
        from speechrnn.generation.predictor import TextPredictor

        return TextPredictor
    raise AttributeError(f"module 'speechrnn' has no attribute {name!r}")
