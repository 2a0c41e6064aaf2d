"""The settings of live recognition."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from speechrnn.core.errors import UserError
from speechrnn.decoding.fusion import DecodingOptions
from speechrnn.nn.acoustic import AcousticModel
from speechrnn.nn.recurrent import Blocks
from speechrnn.transcription.endpoint import EndpointOptions
from speechrnn.transcription.options import AUTO, SearchSettings
from speechrnn.transcription.speech_gate import SpeechGateOptions

LATENCIES = (0.01, 30.0)  # seconds
LOOK_AHEAD = 0.21  # seconds that help much; more of them help little
PARTIAL = 0.15  # seconds between partials, at least: more of them show more words that are taken back
SHORTEST_BLOCK = 3  # frames: shorter ones cost as much time as longer ones, and come more often


@dataclass(frozen=True)
class StreamingOptions(SearchSettings):
    """Configure live recognition; conf/listen.yaml explains each key.

    >>> StreamingOptions(latency=0.3).endpoint.silence
    0.8

    Attributes:
        latency: seconds between a sound and the last one that its words depend on, at most, in the recurrent layers.
        hold: seconds ago that a word must have ended for a partial to show it, unless it is stable: later ones mostly
            change.
        decoding: "greedy", "beam", or all options of a search; None: the beam search for a bundle with language models
            (`english`), else greedy.
        language_model: a language model for the beam search, by name or directory; "auto": what the bundle has, an
            n-gram model included; None: none.
        endpoint: where segments end.
        gate: which frames may have words.
        precision: number format of the network: "float32", "bfloat16", or "auto", the faster one on the machine.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
    """

    latency: float = field(default=0.6, metadata={"min": LATENCIES[0], "max": LATENCIES[1]})
    hold: float = field(default=0.3, metadata={"min": 0.0, "max": 30.0})
    decoding: DecodingOptions | Literal["greedy", "beam"] | None = None
    language_model: Path | str | None = AUTO
    endpoint: EndpointOptions = field(default_factory=EndpointOptions)
    gate: SpeechGateOptions = field(default_factory=SpeechGateOptions)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    device: str = "cpu"


def blocks_for(latency: float, model: AcousticModel) -> Blocks:
    """Return the blocks of a latency in seconds.

    Two fifths of it are look-ahead, but at least `LOOK_AHEAD` where that leaves a block of `SHORTEST_BLOCK`.

    >>> from speechrnn.audio.features import FeatureOptions
    >>> from speechrnn.nn.acoustic import AcousticOptions
    >>> blocks_for(0.6, AcousticModel(5, FeatureOptions(), AcousticOptions(layers=3, units=8)))
    Blocks(size=12, right=8)
    """
    low, high = LATENCIES
    if not isinstance(latency, (int, float)) or not low <= latency <= high:
        raise UserError(f"latency={latency} is wrong: it must be at least {low} and at most {high} (seconds).")
    frames = max(1, round(latency / model.seconds_per_frame))
    if not model.options.bidirectional:
        return Blocks(frames, 0)
    least = min(round(LOOK_AHEAD / model.seconds_per_frame), frames - SHORTEST_BLOCK)
    right = max(2 * frames // 5, least)
    return Blocks(frames - right, right)


def frames_between_partials(blocks: Blocks, seconds_per_frame: float) -> int:
    """Return after how many frames a partial comes: some blocks, at least `PARTIAL` together.

    >>> frames_between_partials(Blocks(3, 7), 0.03), frames_between_partials(Blocks(12, 8), 0.03)
    (6, 12)
    """
    return blocks.size * math.ceil(PARTIAL / (blocks.size * seconds_per_frame) - 1e-6)
