"""The parts of a loaded transcriber that the pipeline needs."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from speechrnn.audio.segmentation import SegmentationOptions
from speechrnn.audio.vad import SpeechDetector
from speechrnn.decoding.decoder import Decoder
from speechrnn.transcription.runtime import Engine


@dataclass(frozen=True)
class Recognizer:
    """Group the network, the decoder and the constants with which recordings are recognised.

    Attributes:
        model: name of the model, as it stands in transcripts.
        engine: runs the network.
        decoder: turns emissions into words.
        sampling_rate: Hz, of the network's input.
        seconds_per_frame: length of a frame of emissions.
        step: samples per frame of emissions.
        device: on which the network and the decoder compute.
        segmentation: how long recordings are cut into windows.
        detector: finds speech; None: everything counts as speech.
    """

    model: str
    engine: Engine
    decoder: Decoder
    sampling_rate: int
    seconds_per_frame: float
    step: int
    device: torch.device
    segmentation: SegmentationOptions
    detector: SpeechDetector | None
