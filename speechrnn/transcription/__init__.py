"""From audio files to transcripts: reading, network and decoding at the same time.

The names below are imported when they are first used, since torch takes seconds to import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from speechrnn.transcription.options import TranscriptionOptions
    from speechrnn.transcription.transcriber import Transcriber
    from speechrnn.transcription.transcript import Alternative, Failure, Segment, Transcript

__all__ = ["Alternative", "Failure", "Segment", "Transcriber", "Transcript", "TranscriptionOptions"]

_MODULES = {
    "options": ("TranscriptionOptions",),
    "transcriber": ("Transcriber",),
    "transcript": (
        "Alternative",
        "Failure",
        "Segment",
        "Transcript",
    ),
}


def __getattr__(name: str) -> Any:
    """Import the module of a public name on first use (PEP 562)."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
