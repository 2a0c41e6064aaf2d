"""The parts of a recogniser: as they are loaded, and as the pipeline needs them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch

from speechrnn.audio.segmentation import SegmentationOptions
from speechrnn.audio.vad import SpeechDetector
from speechrnn.core.device import find_device
from speechrnn.decoding.decoder import Decoder, make_decoder
from speechrnn.decoding.fusion import DecodingOptions
from speechrnn.decoding.model_facts import ModelFacts
from speechrnn.decoding.tuned_weights import find_uncalibrated, read_tuned
from speechrnn.nn.acoustic import AcousticModel, load_acoustic
from speechrnn.text.tokenizers import Tokenizer
from speechrnn.transcription.runtime import Engine

logger = logging.getLogger("speechrnn")


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
        facts: about the model; recordings that lie far from them have a warning.
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
    facts: ModelFacts = field(default_factory=ModelFacts)


class LoadedModel(NamedTuple):
    """An acoustic model with its decoder, on a device."""

    network: AcousticModel
    tokenizer: Tokenizer
    decoder: Decoder
    device: torch.device


def load_recognizer(acoustic: Path, decoding: DecodingOptions, language_model: Path | None, device: str) -> LoadedModel:
    """Load an acoustic model, and the decoder with the weights that were tuned for it.

    Args:
        acoustic: directory of the acoustic model.
        decoding: options of the search.
        language_model: directory of the language model; None: none.
        device: see `find_device`.

    Raises:
        UserError: no acoustic model, no such device, or a language model that does not fit the acoustic model.
    """
    network, tokenizer = load_acoustic(acoustic)
    found = find_device(device)
    decoder = make_decoder(
        decoding,
        language_model,
        tokenizer,
        seconds_per_frame=network.seconds_per_frame,
        tuned=read_tuned(acoustic),
        device=found,
    )
    return LoadedModel(network.to(found), tokenizer, decoder, device=found)


def warn_uncalibrated(acoustic: Path, decoding: DecodingOptions, language_model: str | Path | None) -> None:
    """Log a warning where the confidences were calibrated for other options; not for each worker of a job.

    Args:
        acoustic: directory of the acoustic model.
        decoding: options of the search.
        language_model: directory of the language model; None: none.
    """
    if keys := find_uncalibrated(read_tuned(acoustic), decoding, language_model):
        logger.warning(
            "Confidences are less exact: they were calibrated at other values of %s. `speechrnn tune` with these keys "
            "calibrates them on the dev part of a run.",
            ", ".join(f"decoding.{key}" for key in keys),
        )
