"""Streams of a small model: recognizers of each kind of decoding, and the events of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch

from helpers.acoustic_models import RATE, streaming_model
from helpers.language_models import toy_model
from speechrnn.decoding.decoder import BeamDecoder, GreedyDecoder
from speechrnn.decoding.fusion import LANGUAGE, DecodingOptions
from speechrnn.decoding.scorers.base import LabelScorer, WeightedScorer
from speechrnn.decoding.scorers.neural import NeuralModel
from speechrnn.transcription.endpoint import EndpointOptions
from speechrnn.transcription.events import Event
from speechrnn.transcription.speech_gate import SpeechGateOptions
from speechrnn.transcription.streamer import Streamer, StreamingRecognizer

MODEL, TOKENIZER = streaming_model()


KINDS = ["greedy", "beam", "fused"]


OPEN = SpeechGateOptions(detector="none")


def make_decoder(kind: str) -> GreedyDecoder | BeamDecoder:
    if kind == "greedy":
        return GreedyDecoder(TOKENIZER, MODEL.seconds_per_frame)
    scorers = []
    if kind == "fused":
        model = LabelScorer(NeuralModel(toy_model(len(TOKENIZER))), torch.arange(len(TOKENIZER)))
        scorers = [WeightedScorer(model, 0.5, LANGUAGE)]
    return BeamDecoder(TOKENIZER, MODEL.seconds_per_frame, DecodingOptions(name="beam", beam_size=6), scorers=scorers)


def make_recognizer(kind: str = "greedy", **options: object) -> StreamingRecognizer:
    return StreamingRecognizer(MODEL, TOKENIZER, "tiny", decoder=make_decoder(kind), **options)  # type: ignore[arg-type]


RECOGNIZERS = {kind: make_recognizer(kind, endpoint=EndpointOptions(0.3, 1.5)) for kind in KINDS}


def noise(samples: int, seed: int = 0) -> np.ndarray:
    """Bursts of noise with pauses of a second between them."""
    generator = np.random.default_rng(seed)
    sound = generator.standard_normal(samples) * 0.2
    sound *= np.sin(np.arange(samples) / RATE * 2 * np.pi * 3) ** 2
    sound[(np.arange(samples) // RATE) % 3 == 2] *= 0.001
    return sound.astype(np.float32)


def run(streamer: Streamer, samples: np.ndarray, packets: Sequence[int]) -> list[Event]:
    events, place, turn = [], 0, 0
    while place < len(samples):
        packet = samples[place : place + packets[turn % len(packets)]]
        place, turn = place + len(packet), turn + 1
        events += streamer.accept(packet)
    return events + streamer.finish()


def finals(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if event.kind == "final"]


def check_promises(events: Sequence[Event]) -> None:
    stable: dict[int, tuple] = {}
    ended = -1
    for event in events:
        assert event.segment == ended + 1
        before = stable.get(event.segment, ())
        assert event.words[: len(before)] == before
        assert event.stable_words >= len(before)
        assert len(event.words) >= event.stable_words
        assert event.text == " ".join(word.word for word in event.words)
        stable[event.segment] = event.words[: event.stable_words]
        if event.kind == "final":
            assert event.stable_words == len(event.words)
            ended = event.segment
    words = [word for event in finals(events) for word in event.words]
    assert all(word.start < word.end for word in words)
    assert all(word.start <= other.start for word, other in pairwise(words))
    partial = {event.segment for event in events if event.kind == "partial"}
    assert partial <= {event.segment for event in finals(events)}
