"""speechrnn: speech to text and text prediction with recurrent networks.

>>> from speechrnn import Transcriber
>>> Transcriber.load("outputs/demo/acoustic")("talk.wav").text  # doctest: +SKIP
'SHARKS FEED ON FISH'

>>> from speechrnn import TextPredictor
>>> TextPredictor.load("outputs/demo/language").next_words("sharks feed", k=5)  # doctest: +SKIP
[('ON', 0.98), ('AND', 0.01), ('FROM', 0.01), ('IN', 0.0), ('OR', 0.0)]
"""

import os
import sys
from typing import TYPE_CHECKING, Any

from speechrnn.version import __version__ as __version__

if TYPE_CHECKING:
    from speechrnn.generation.predictor import TextPredictor as TextPredictor
    from speechrnn.transcription.streamer import Streamer as Streamer
    from speechrnn.transcription.transcriber import Transcriber as Transcriber

__all__ = ["Streamer", "TextPredictor", "Transcriber", "__version__"]

# Turns that a waiting thread of libgomp, which runs torch's threads on Linux, spins before it sleeps. With its own
# 300,000, waiting threads take the processor from the thread that they wait for, when other programs keep the machine
# busy; with none, each piece of work on an idle machine begins later. By libgomp's own estimate 1,000 take 10
# microseconds (benchmarks/busy.py).
SPIN_COUNT = "1000"


def _limit_spinning() -> None:
    """Bound the spinning of waiting threads, unless the user has chosen a way to wait or torch is loaded already.

    libgomp reads the environment once, when torch loads it. Processes that this one starts inherit the setting.
    """
    if "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)


_limit_spinning()


def __getattr__(name: str) -> Any:
    """Import torch and all that only when a name that needs it is used."""
    if name == "Transcriber":
        from speechrnn.transcription.transcriber import Transcriber

        return Transcriber
    if name == "Streamer":
        from speechrnn.transcription.streamer import Streamer

        return Streamer
    if name == "TextPredictor":
        from speechrnn.generation.predictor import TextPredictor

        return TextPredictor
    raise AttributeError(f"module 'speechrnn' has no attribute {name!r}")
