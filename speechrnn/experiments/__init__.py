"""Experiments: the folder of a run, and the stages of speech to text and text prediction.

The names below are imported when they are first used, since torch takes seconds to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechrnn.core.lazy import lazy_names

if TYPE_CHECKING:
    from speechrnn.experiments.run import Run
    from speechrnn.experiments.speech_to_text import SpeechOptions, SpeechToText
    from speechrnn.experiments.stages import run_stages
    from speechrnn.experiments.text_prediction import TextPrediction, TextPredictionOptions

__all__ = ["Run", "SpeechOptions", "SpeechToText", "TextPrediction", "TextPredictionOptions", "run_stages"]

_MODULES = {
    "run": ("Run",),
    "speech_to_text": (
        "SpeechOptions",
        "SpeechToText",
    ),
    "stages": ("run_stages",),
    "text_prediction": (
        "TextPrediction",
        "TextPredictionOptions",
    ),
}

__getattr__ = lazy_names(__name__, _MODULES)
