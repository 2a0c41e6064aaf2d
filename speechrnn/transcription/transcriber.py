"""Transcribe recordings: cut at silences, batched by length, every word with its time and confidence."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import cast, overload

import numpy as np
import torch

from speechrnn.audio import is_silent
from speechrnn.audio.segmentation import SegmentationOptions
from speechrnn.audio.vad import SpeechDetector, build_detector
from speechrnn.core.device import find_device
from speechrnn.core.errors import UserError
from speechrnn.data.dataset import pad
from speechrnn.decoding.decoder import Decoder, GreedyDecoder
from speechrnn.decoding.hypothesis import DecodingResult
from speechrnn.decoding.model_facts import ModelFacts, read_facts
from speechrnn.nn.acoustic import AcousticModel
from speechrnn.text.tokenizers import Tokenizer
from speechrnn.transcription.bundle import model_name, resolve_models
from speechrnn.transcription.endpoint import EndpointOptions
from speechrnn.transcription.options import TranscriptionOptions, keywords_of
from speechrnn.transcription.pipeline import Pipeline
from speechrnn.transcription.reader import Source, with_rate
from speechrnn.transcription.recognizer import Recognizer, load_recognizer, warn_uncalibrated
from speechrnn.transcription.runtime import Engine, make_engine
from speechrnn.transcription.samples import Samples
from speechrnn.transcription.speech_gate import SpeechGateOptions
from speechrnn.transcription.streamer import Streamer, StreamingRecognizer
from speechrnn.transcription.transcript import Alternative, DecodedSegment, Failure, Segment, Transcript, assemble

__all__ = ["Alternative", "Failure", "Segment", "Source", "Transcriber", "Transcript"]


class Transcriber:
    """Transcribe recordings with an acoustic model.

    >>> transcriber = Transcriber.load("english")  # doctest: +SKIP
    >>> transcriber("talk.wav").text  # doctest: +SKIP
    'IT WAS A BRIGHT COLD DAY IN APRIL'

    Nothing is printed; a transcript says itself where the sound is unlike the model's training:

    >>> [warning.kind for warning in transcriber("song.mp3").warnings]  # doctest: +SKIP
    ['unfamiliar']

    Attributes:
        sampling_rate: Hz, of the model; sound at another rate is resampled.
        step: samples per frame of emissions.
        threads: batches that are computed at the same time.
        facts: about the model's training data and its uncertainty on its dev part; `facts.training` and `facts.dev` are
            None where the model's directory lacks them.
    """

    def __init__(
        self,
        model: AcousticModel,
        tokenizer: Tokenizer,
        name: str,
        device: str = "auto",
        *,
        decoder: Decoder | None = None,
        engine: Engine | None = None,
        segmentation: SegmentationOptions | None = None,
        threads: int | None = None,
        batch_seconds: float = 240.0,
        facts: ModelFacts | None = None,
    ) -> None:
        """
        Args:
            model: the network.
            tokenizer: its alphabet.
            name: of the model, for transcripts.
            device: see `find_device`.
            decoder: turns emissions into words; None: greedy decoding.
            engine: runs the model; None: torch in float32.
            segmentation: how recordings are cut; None: the defaults.
            threads: batches that are computed at the same time; None: as many as there are cores.
            batch_seconds: most audio in a batch, padding included.
            facts: about the model; None: nothing is known.
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
        self.engine = engine or make_engine(model, None, "torch", device=self.device, precision="float32")
        self.segmentation = segmentation or SegmentationOptions()
        self.threads = threads or default_threads(self.device)
        self.batch_seconds = batch_seconds
        self.facts = facts or ModelFacts()

    @classmethod
    @keywords_of(TranscriptionOptions)
    def load(cls, folder: str | Path, options: TranscriptionOptions) -> Transcriber:
        """Load a model by its name or directory.

        The settings are given as keywords: `load("english", device="cpu", decoding="greedy")`; they are the fields of
        `TranscriptionOptions`.

        Args:
            folder: a name such as "english", the directory of an acoustic model, or the folder of a run.
            options: made of the keywords.

        Raises:
            UserError: there is no such acoustic model, the device does not exist, the language model
                does not fit the acoustic model, or the engine is not installed.
        """
        folder, options = resolve_models(folder, options)
        warn_uncalibrated(folder, options.search, options.language_model)
        return cls.from_options(folder, options)

    @classmethod
    def from_options(cls, folder: str | Path, options: TranscriptionOptions) -> Transcriber:
        """Load a model; see `load`."""
        folder, options = resolve_models(folder, options)
        language = None if options.language_model is None else Path(options.language_model)
        model, tokenizer, decoder, device = load_recognizer(folder, options.search, language, device=options.device)
        return cls(
            model,
            tokenizer,
            model_name(folder),
            device=options.device,
            decoder=decoder,
            engine=make_engine(model, folder, options.engine, device=device, precision=options.precision),
            segmentation=options.segmentation,
            threads=options.threads,
            batch_seconds=options.batch_seconds,
            facts=read_facts(folder),
        )

    @cached_property
    def detector(self) -> SpeechDetector | None:
        """Return the detector of speech; see `build_detector`."""
        return build_detector(self.segmentation.vad)

    @overload
    def __call__(self, source: Source | Samples, sampling_rate: int | None = None) -> Transcript: ...

    @overload
    def __call__(self, source: list[Source | Samples], sampling_rate: int | None = None) -> list[Transcript]: ...

    @overload
    def __call__(self, source: list[str], sampling_rate: int | None = None) -> list[Transcript]: ...

    @overload
    def __call__(self, source: list[Path], sampling_rate: int | None = None) -> list[Transcript]: ...

    @overload
    def __call__(self, source: list[np.ndarray], sampling_rate: int | None = None) -> list[Transcript]: ...

    @overload
    def __call__(self, source: list[torch.Tensor], sampling_rate: int | None = None) -> list[Transcript]: ...

    def __call__(
        self, source: Source | Samples | Sequence[Source | Samples], sampling_rate: int | None = None
    ) -> Transcript | list[Transcript]:
        """Transcribe one recording, or each of a list in its order.

        Args:
            source: a file; a numpy array or torch tensor of samples, (samples,) or with channels (channels, samples)
                or (samples, channels), which are averaged; a pair of samples and their rate; or a list of these.
            sampling_rate: Hz, of samples that are given without a rate.

        Raises:
            AudioError: a recording cannot be read, or samples come without a rate.
        """
        sources = cast("list[Source | Samples]", source if isinstance(source, list) else [source])
        transcripts = []
        for result in self.transcribe(sources, ordered=True, sampling_rate=sampling_rate):
            if isinstance(result, Failure):
                raise result.to_exception()
            transcripts.append(result)
        return transcripts if isinstance(source, list) else transcripts[0]

    def transcribe(
        self,
        sources: Iterable[Source | Samples],
        batch_seconds: float | None = None,
        ordered: bool = False,
        sampling_rate: int | None = None,
        on_segment: Callable[[int, Segment], None] | None = None,
    ) -> Iterator[Transcript | Failure]:
        """Transcribe recordings of any number and length in constant memory.

        Args:
            sources: files and samples, in any mixture; taken as they are needed, by several threads in turn.
            batch_seconds: most audio in a batch, padding included; a longer window is a batch by itself. None: as
                the transcriber was made.
            ordered: yield results in the order of the sources; those that are ready before an earlier one wait.
            sampling_rate: Hz, of samples that are given without a rate.
            on_segment: called with the number of the source, from 0, and each segment in which words were found, as
                soon as it is decoded; those of a recording in order, before its result.

        Yields:
            One result for each source; unless `ordered`, as soon as it is ready. A file that breaks off is transcribed
            as far as it can be read, and the transcript says so; a file of which nothing can be read is a Failure.

        Raises:
            UserError: `batch_seconds` is not above 0, or the detector of speech is not installed.
        """
        if batch_seconds is None:
            batch_seconds = self.batch_seconds
        if not (isinstance(batch_seconds, (int, float)) and batch_seconds > 0):
            raise UserError(f"batch_seconds={batch_seconds} is wrong: it must be above 0 (seconds of audio).")
        if isinstance(sources, (str, Path, np.ndarray, torch.Tensor)):
            sources = [sources]
        if not isinstance(sources, Iterable):
            raise UserError(f"There are no recordings in {sources}; give a list of files and samples.")
        with_rates = (with_rate(source, sampling_rate) for source in sources)
        pipeline = Pipeline(
            self.recognizer(), with_rates, batch_seconds, threads=self.threads, ordered=ordered, on_segment=on_segment
        )
        yield from pipeline.run()

    def stream(
        self,
        sampling_rate: int | None = None,
        latency: float = 0.6,
        hold: float = 0.4,
        endpoint: EndpointOptions | None = None,
        hot_words: Sequence[str] = (),
        gate: SpeechGateOptions | None = None,
    ) -> Streamer:
        """Begin a live stream, in float32 and with the transcriber's decoding.

        >>> Transcriber.load("outputs/demo/acoustic").stream().accept(samples)  # doctest: +SKIP

        Args:
            sampling_rate: Hz, of its samples; None: the model's.
            latency, hold: see `StreamingOptions`.
            endpoint: where its segments end; None: the defaults.
            hot_words: words and phrases that are expected in it.
            gate: which frames may have words; None: the defaults.

        Raises:
            UserError: see `StreamingRecognizer`.
        """
        recognizer = StreamingRecognizer(
            self.model,
            self.tokenizer,
            self.name,
            decoder=copy.deepcopy(self.decoder),  # its scorers hold the states of one search
            latency=latency,
            hold=hold,
            endpoint=endpoint,
            gate=gate or SpeechGateOptions(),
            facts=self.facts,
        )
        return recognizer.stream(sampling_rate, hot_words)

    def recognizer(self) -> Recognizer:
        """Return the parts that the pipeline needs, as they are now."""
        return Recognizer(
            model=self.name,
            engine=self.engine,
            decoder=self.decoder,
            sampling_rate=self.sampling_rate,
            seconds_per_frame=self.seconds_per_frame,
            step=self.step,
            device=self.device,
            segmentation=self.segmentation,
            detector=self.detector,
            facts=self.facts,
        )

    def decode(self, waveforms: Sequence[np.ndarray]) -> list[Transcript]:
        """Transcribe one batch in its order, each waveform as one segment.

        Args:
            waveforms: float32 (samples,) each, at `sampling_rate`.
        """
        return [
            self.transcript(f"samples {number}", len(samples) / self.sampling_rate, decoded)
            for number, (samples, decoded) in enumerate(
                zip(waveforms, self.decoder(*self.compute_emissions(waveforms)), strict=True)
            )
        ]

    @torch.inference_mode()
    def compute_emissions(self, waveforms: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
        """Run the network on one batch, without decoding.

        Args:
            waveforms: float32 (samples,) each, at `sampling_rate`. Silence (`is_silent`) does not go through the
                network, which was trained to find words; it has no frames.

        Returns:
            (batch, frames, symbols) log-probabilities and (batch,) true frames, on the model's device.
        """
        audible = [number for number, samples in enumerate(waveforms) if not is_silent(samples)]
        frames = torch.zeros(len(waveforms), dtype=torch.long, device=self.device)
        if not audible:
            return torch.zeros(len(waveforms), 0, len(self.tokenizer), device=self.device), frames
        padded, lengths = pad([waveforms[number] for number in audible])
        emissions, counts = self.engine(padded.to(self.device), lengths.to(self.device))
        frames[audible] = counts
        if len(audible) == len(waveforms):
            return emissions, frames
        log_probs = emissions.new_zeros(len(waveforms), *emissions.shape[1:])
        log_probs[audible] = emissions
        return log_probs, frames

    def transcript(self, name: str, seconds: float, decoded: DecodingResult, decoding: str | None = None) -> Transcript:
        """Make the transcript of a recording that is one segment.

        Args:
            name: of the recording.
            seconds: its length.
            decoded: its words.
            decoding: how they were found; None: by the transcriber's own decoder.
        """
        return assemble(
            name,
            seconds,
            [DecodedSegment(0.0, decoded)],
            model=self.name,
            decoding=decoding or self.decoder.name,
        )


def default_threads(device: torch.device) -> int:
    """Return the number of cores of this process; with an accelerator 2, one of which prepares the next batch."""
    if device.type != "cpu":
        return 2
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
