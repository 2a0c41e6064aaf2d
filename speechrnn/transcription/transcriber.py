"""Recordings in, transcripts out: cut where nobody speaks, batched by length, every word with its time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from speechrnn.audio import AudioError, is_silent
from speechrnn.audio.segmentation import SegmentationOptions
from speechrnn.audio.vad import SpeechDetector, build_detector
from speechrnn.core.config import build
from speechrnn.core.device import find_device
from speechrnn.core.errors import UserError
from speechrnn.data.dataset import pad
from speechrnn.decoding.decoder import Decoder, GreedyDecoder, make_decoder
from speechrnn.decoding.fusion import DecodingOptions
from speechrnn.decoding.hypothesis import DecodingResult
from speechrnn.decoding.tuned_weights import read_tuned
from speechrnn.nn.acoustic import AcousticModel, load_acoustic
from speechrnn.text.tokenizers import Tokenizer
from speechrnn.transcription.pipeline import Pipeline
from speechrnn.transcription.reader import Source
from speechrnn.transcription.runtime import Engine, EngineName, Precision, make_engine
from speechrnn.transcription.transcript import Alternative, DecodedSegment, Failure, Segment, Transcript, assemble

__all__ = ["Alternative", "Failure", "Segment", "Source", "Transcriber", "Transcript"]


class Transcriber:
    """An acoustic model at work.

    >>> transcriber = Transcriber.load("outputs/speech_to_text/an4/acoustic")  # doctest: +SKIP
    >>> transcriber("talk.wav").text  # doctest: +SKIP

    Attributes:
        sampling_rate: Hz, of the model; whatever comes at another rate is resampled.
        step: samples for each frame of the network.
        threads: batches that are computed at the same time.
    """

    def __init__(
        self,
        model: AcousticModel,
        tokenizer: Tokenizer,
        name: str,
        device: str = "auto",
        decoder: Decoder | None = None,
        engine: Engine | None = None,
        segmentation: SegmentationOptions | None = None,
        threads: int | None = None,
    ) -> None:
        """
        Args:
            name: what transcripts say of the model.
            device: see `find_device`.
            decoder: what finds the words; None: greedily.
            engine: what runs the model; None: torch in float32.
            segmentation: how recordings are cut; None: as by default.
            threads: see `load`.
        """
        if threads is not None and threads < 1:
            raise UserError(f"threads={threads} is wrong: it must be at least 1.")
        self.device = find_device(device)
        self.model = model.eval().to(self.device)
        self.tokenizer = tokenizer
        self.name = name
        self.sampling_rate = model.front_end.options.sampling_rate
        self.seconds_per_frame = model.seconds_per_frame
        self.step = round(model.seconds_per_frame * self.sampling_rate)
        self.decoder = decoder or GreedyDecoder(tokenizer, model.seconds_per_frame)
        self.engine = engine or make_engine(model, None, "torch", self.device, "float32")
        self.segmentation = segmentation or SegmentationOptions()
        self.threads = threads or default_threads(self.device)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        device: str = "auto",
        decoding: str | DecodingOptions = "greedy",
        language_model: str | Path | None = None,
        engine: EngineName = "auto",
        segmentation: SegmentationOptions | None = None,
        threads: int | None = None,
        precision: Precision = "auto",
    ) -> Transcriber:
        """From a model directory.

        Args:
            decoding: "greedy", "beam", or all options of a search.
            language_model: a language model directory, which the beam search asks; None: none.
            engine, precision: what runs the network, see `make_engine`.
            segmentation: how recordings are cut; None: as by default.
            threads: batches that are computed at the same time, each on one core; None: as many as there are cores.

        Raises:
            UserError: no model directory, or not one of an acoustic model; no such device; a language model that does
                not fit; an engine that is not installed.
        """
        model, tokenizer = load_acoustic(folder)
        options = build(DecodingOptions, {"name": decoding}, "decoding") if isinstance(decoding, str) else decoding
        tuned = read_tuned(folder)
        found = find_device(device)
        decoder = make_decoder(options, language_model, tokenizer, model.seconds_per_frame, tuned, found)
        runs = make_engine(model, Path(folder), engine, found, precision)
        return cls(model, tokenizer, str(folder), device, decoder, runs, segmentation, threads)

    @cached_property
    def detector(self) -> SpeechDetector | None:
        """What finds the silences; see `build_detector`."""
        return build_detector(self.segmentation.vad)

    def __call__(self, source: Source) -> Transcript:
        """Transcribes one recording.

        Raises:
            AudioError: it cannot be read.
        """
        (result,) = self.transcribe([source])
        if isinstance(result, Failure):
            raise AudioError(result.reason)
        return result

    def transcribe(self, sources: Iterable[Source], batch_seconds: float = 240.0) -> Iterator[Transcript | Failure]:
        """Transcribes recordings of any number and length in constant memory.

        Args:
            sources: files and samples, in any mixture; taken as they are needed, by several threads in turn.
            batch_seconds: most audio in a batch, padding included; a longer piece is a batch of its own.

        Yields:
            one result a source, as it is ready, in no order. A file that breaks off is transcribed as far as it can be
            read, and says so; one of which nothing can be read is a Failure.

        Raises:
            UserError: `batch_seconds` is not above 0, or the detector of speech is not installed.
        """
        if batch_seconds <= 0:
            raise UserError(f"batch_seconds={batch_seconds:g} is wrong: it must be above 0 (seconds of audio).")
        yield from Pipeline(self, sources, batch_seconds).run()

    def decode(self, waveforms: Sequence[np.ndarray]) -> list[Transcript]:
        """Transcribes one batch, float32 (samples,) each at `sampling_rate`, in its order, each as one stretch."""
        return [
            self.transcript(f"samples {number}", len(samples) / self.sampling_rate, decoded)
            for number, (samples, decoded) in enumerate(
                zip(waveforms, self.decoder(*self.compute_emissions(waveforms)), strict=True)
            )
        ]

    @torch.inference_mode()
    def compute_emissions(self, waveforms: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
        """What the acoustic model hears in a batch, before any decoding.

        Args:
            waveforms: float32 (samples,) each, at `sampling_rate`. The network is not asked about silence
                (`is_silent`), since it has learnt to find words: silence has no frames.

        Returns:
            (batch, frames, symbols) log-probabilities and (batch,) true frames, on the model's device.
        """
        spoken = [number for number, samples in enumerate(waveforms) if not is_silent(samples)]
        frames = torch.zeros(len(waveforms), dtype=torch.long, device=self.device)
        if not spoken:
            return torch.zeros(len(waveforms), 0, len(self.tokenizer), device=self.device), frames
        padded, lengths = pad([waveforms[number] for number in spoken])
        heard, counts = self.engine(padded.to(self.device), lengths.to(self.device))
        frames[spoken] = counts
        if len(spoken) == len(waveforms):
            return heard, frames
        log_probs = heard.new_zeros(len(waveforms), *heard.shape[1:])
        log_probs[spoken] = heard
        return log_probs, frames

    def transcript(self, name: str, seconds: float, decoded: DecodingResult, decoding: str | None = None) -> Transcript:
        """What was found in a recording of one stretch, in the form that is written.

        Args:
            decoding: how it was found; None: by the transcriber's own decoder.
        """
        return assemble(name, seconds, [DecodedSegment(0.0, decoded)], self.name, decoding or self.decoder.name)


def default_threads(device: torch.device) -> int:
    """As many as this process may use cores; with an accelerator two, one of which prepares what it is to do."""
    if device.type != "cpu":
        return 2
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
