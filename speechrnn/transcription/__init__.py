"""From audio files to transcripts: reading, network and decoding at the same time.

The names below are imported when they are first used, since torch takes seconds to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechrnn.core.lazy import lazy_names

if TYPE_CHECKING:
    from speechrnn.transcription.endpoint import EndpointOptions
    from speechrnn.transcription.events import Event
    from speechrnn.transcription.options import TranscriptionOptions
    from speechrnn.transcription.streamer import Streamer, StreamingRecognizer
    from speechrnn.transcription.streaming_options import StreamingOptions
    from speechrnn.transcription.transcriber import Transcriber
    from speechrnn.transcription.transcript import Alternative, Failure, Segment, Transcript

__all__ = [
    "Alternative",
    "EndpointOptions",
    "Event",
    "Failure",
    "Segment",
    "Streamer",
    "StreamingOptions",
    "StreamingRecognizer",
    "Transcriber",
    "Transcript",
    "TranscriptionOptions",
]

_MODULES = {
    "endpoint": ("EndpointOptions",),
    "events": ("Event",),
    "options": ("TranscriptionOptions",),
    "streamer": ("Streamer", "StreamingRecognizer"),
    "streaming_options": ("StreamingOptions",),
    "transcriber": ("Transcriber",),
    "transcript": (
        "Alternative",
        "Failure",
        "Segment",
        "Transcript",
    ),
}

__getattr__ = lazy_names(__name__, _MODULES)
