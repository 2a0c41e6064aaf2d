"""From audio files to transcripts: reading, network and decoding at the same time.

The names below are imported when they are first used, since torch takes seconds to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechrnn.core.lazy import lazy_names

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

__getattr__ = lazy_names(__name__, _MODULES)
