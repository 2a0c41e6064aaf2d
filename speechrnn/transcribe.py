"""Recordings in, transcripts out: batched by length, every word with its time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from speechrnn import audio
from speechrnn.audio import AudioError
from speechrnn.data import by_length, pad
from speechrnn.decoding.decoder import Decoder, GreedyDecoder, make_decoder
from speechrnn.decoding.fusion import DecodingOptions
from speechrnn.decoding.hypothesis import Decoded, Word
from speechrnn.decoding.tuned import read_tuned
from speechrnn.device import find_device
from speechrnn.errors import UserError
from speechrnn.nn.acoustic import AcousticModel, load_acoustic
from speechrnn.options import build
from speechrnn.text import Tokenizer

WINDOW = 1000  # sources among which those of like length are sought for a batch
SHORTEST_WORD = 0.005  # seconds; half a frame or less, so that there is always room for it

Source = str | Path | tuple[np.ndarray, int]
"""A file, or samples (samples,) with their rate in Hz."""


@dataclass(frozen=True)
class Segment:
    """A stretch of speech; times in seconds from the start of the audio, confidences 0 to 1."""

    start: float
    end: float
    text: str
    confidence: float
    words: tuple[Word, ...]


@dataclass(frozen=True)
class Alternative:
    """A reading of the same audio.

    Attributes:
        score: natural logarithm, by which the readings are ranked.
        acoustic: what the acoustic model has to do with it.
        parts: what each other opinion (a language model, hot words) says, before its weight.
    """

    text: str
    score: float
    acoustic: float
    parts: dict[str, float]


@dataclass(frozen=True)
class Transcript:
    """What was said, and when.

    Attributes:
        audio: the path as it was given; "samples N" for the N-th source (from 0) where that was samples.
        duration: seconds.
        confidence: 0 to 1, the mean of the words'; of a transcript without words, that there are none.
        segments: in order; none where nothing was said.
        alternatives: the readings that were compared, the best, which is the transcript's own, first; greedy decoding
            compares none.
        model: the model directory.
        decoding: how the words were found, "greedy" or "beam".
    """

    audio: str
    duration: float
    text: str
    confidence: float
    segments: tuple[Segment, ...]
    alternatives: tuple[Alternative, ...]
    model: str
    decoding: str

    @property
    def words(self) -> tuple[Word, ...]:
        """The words of all segments."""
        return tuple(word for segment in self.segments for word in segment.words)

    def to_json(self) -> dict[str, Any]:
        """The transcript in values for `json.dump`; the fields are the keys of the file format."""
        return asdict(self)


@dataclass(frozen=True)
class Failure:
    """A source that could not be transcribed.

    Attributes:
        audio: as in Transcript.
        reason: one sentence that says why, and what to do.
    """

    audio: str
    reason: str


class Transcriber:
    """An acoustic model at work.

    >>> transcriber = Transcriber.load("outputs/speech_to_text/an4/acoustic")
    >>> transcriber("talk.wav").text

    Attributes:
        sampling_rate: Hz, of the model; whatever comes at another rate is resampled.
    """

    def __init__(
        self,
        model: AcousticModel,
        tokenizer: Tokenizer,
        name: str,
        device: str = "auto",
        decoder: Decoder | None = None,
    ) -> None:
        """
        Args:
            name: what transcripts say of the model.
            device: see `find_device`.
            decoder: what finds the words; None: greedily.
        """
        self.device = find_device(device)
        self.model = model.eval().to(self.device)
        self.tokenizer = tokenizer
        self.name = name
        self.sampling_rate = model.front_end.options.sampling_rate
        self.decoder = decoder or GreedyDecoder(tokenizer, model.seconds_per_frame)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        device: str = "auto",
        decoding: str | DecodingOptions = "greedy",
        language_model: str | Path | None = None,
    ) -> Transcriber:
        """From a model directory.

        Args:
            decoding: "greedy", "beam", or all options of a search.
            language_model: a language model directory, which the beam search asks; None: none.

        Raises:
            UserError: no model directory, or not one of an acoustic model; no such device; a language model that does
                not fit.
        """
        model, tokenizer = load_acoustic(folder)
        options = build(DecodingOptions, {"name": decoding}, "decoding") if isinstance(decoding, str) else decoding
        tuned = read_tuned(folder)
        decoder = make_decoder(options, language_model, tokenizer, model.seconds_per_frame, tuned, find_device(device))
        return cls(model, tokenizer, str(folder), device, decoder)

    def __call__(self, source: Source) -> Transcript:
        """Transcribes one recording.

        Raises:
            AudioError: it cannot be read.
        """
        (result,) = self.transcribe([source])
        if isinstance(result, Failure):
            raise AudioError(result.reason)
        return result

    def transcribe(self, sources: Iterable[Source], batch_seconds: float = 120.0) -> Iterator[Transcript | Failure]:
        """Transcribes many recordings, of which never more than one batch is in memory.

        Args:
            sources: files and samples, in any mixture.
            batch_seconds: most audio in a batch, padding included; a longer recording is a batch of its own.

        Yields:
            one result a source, as it is ready: unreadable ones first, then the longest (of each thousand sources), so
            that memory which does not suffice shows early.
        """
        if batch_seconds <= 0:
            raise UserError(f"batch_seconds={batch_seconds:g} is wrong: it must be above 0 (seconds of audio).")
        numbered = enumerate([sources] if isinstance(sources, str | Path) else sources)
        while window := list(itertools.islice(numbered, WINDOW)):
            lengths: dict[int, float] = {}
            for number, source in window:
                try:
                    lengths[number] = _seconds(source)
                except AudioError as error:
                    yield Failure(_name(source, number), str(error))
            known = dict(window)
            for batch in by_length(lengths, batch_seconds):
                yield from self._transcribe_batch([(_name(known[number], number), known[number]) for number in batch])

    def _transcribe_batch(self, batch: list[tuple[str, Source]]) -> Iterator[Transcript | Failure]:
        """One batch of (name, source); what turns out to be damaged leaves it."""
        names, waveforms = [], []
        for name, source in batch:
            try:
                waveforms.append(_samples(source, self.sampling_rate))
                names.append(name)
            except AudioError as error:
                yield Failure(name, str(error))
        yield from self._decode_what_fits(names, waveforms)

    def _decode_what_fits(self, names: list[str], waveforms: list[np.ndarray]) -> Iterator[Transcript | Failure]:
        """`decode`, in halves where the memory does not suffice for all at once."""
        try:
            for name, transcript in zip(names, self.decode(waveforms), strict=True):
                yield replace(transcript, audio=name)
            return
        except (MemoryError, RuntimeError) as error:  # torch's own errors are RuntimeErrors, on a CPU nothing narrower
            if isinstance(error, RuntimeError) and "memory" not in str(error).lower():
                raise
        if len(names) == 1:
            seconds = len(waveforms[0]) / self.sampling_rate
            reason = f"{names[0]} ({seconds:.0f} s) does not fit into the memory of {self.device}; cut it into pieces."
            yield Failure(names[0], reason)
            return
        half = len(names) // 2
        yield from self._decode_what_fits(names[:half], waveforms[:half])
        yield from self._decode_what_fits(names[half:], waveforms[half:])

    def decode(self, waveforms: Sequence[np.ndarray]) -> list[Transcript]:
        """Transcribes one batch, float32 (samples,) each at `sampling_rate`, in its order."""
        return [
            self.transcript(f"samples {number}", len(samples) / self.sampling_rate, decoded)
            for number, (samples, decoded) in enumerate(
                zip(waveforms, self.decoder(*self.listen(waveforms)), strict=True)
            )
        ]

    @torch.inference_mode()
    def listen(self, waveforms: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
        """What the acoustic model hears in a batch, before any decoding.

        Args:
            waveforms: float32 (samples,) each, at `sampling_rate`. The network is not asked about silence
                (`audio.is_silent`), since it has learnt to find words: silence has no frames.

        Returns:
            (batch, frames, symbols) log-probabilities and (batch,) true frames, on the model's device.
        """
        spoken = [number for number, samples in enumerate(waveforms) if not audio.is_silent(samples)]
        frames = torch.zeros(len(waveforms), dtype=torch.long, device=self.device)
        if not spoken:
            return torch.zeros(len(waveforms), 0, len(self.tokenizer), device=self.device), frames
        padded, lengths = pad([waveforms[number] for number in spoken])
        heard, frames[spoken] = self.model(padded.to(self.device), lengths.to(self.device))
        if len(spoken) == len(waveforms):
            return heard, frames
        log_probs = heard.new_zeros(len(waveforms), *heard.shape[1:])
        log_probs[spoken] = heard
        return log_probs, frames

    def transcript(self, name: str, seconds: float, decoded: Decoded, decoding: str | None = None) -> Transcript:
        """What was found in a recording, in the form that is written.

        Args:
            decoding: how it was found; None: by the transcriber's own decoder.
        """
        duration = round(seconds, 3)
        words = fit(decoded.words, duration)
        confidence = _certainty(words, decoded)
        text = " ".join(word.word for word in words)
        segments = (Segment(words[0].start, words[-1].end, text, confidence, words),) if words else ()
        return Transcript(
            name, duration, text, confidence, segments, _alternatives(decoded), self.name, decoding or self.decoder.name
        )


def fit(words: Sequence[Word], duration: float) -> tuple[Word, ...]:
    """Words that lie within the audio, in milliseconds: ends are cut, order and a length above 0 kept.

    Args:
        words: in order, without overlap, each at least a frame long; the last one may end beyond the audio, or even
            begin where the audio ends.
        duration: seconds.
    """
    fitted = []
    limit = duration
    for word in reversed(words):
        end = min(round(word.end, 3), limit)
        start = max(0.0, min(round(word.start, 3), round(end - SHORTEST_WORD, 3)))
        fitted.append(replace(word, start=start, end=end, confidence=round(word.confidence, 4)))
        limit = start
    return tuple(reversed(fitted))


def _certainty(words: Sequence[Word], decoded: Decoded) -> float:
    """Mean confidence of the words; without words, the geometric mean of the frames' probabilities of the reading."""
    if words:
        return round(sum(word.confidence for word in words) / len(words), 4)
    return round(math.exp(decoded.readings[0].acoustic / max(1, decoded.frames)), 4)


def _alternatives(decoded: Decoded) -> tuple[Alternative, ...]:
    if len(decoded.readings) == 1 and not decoded.readings[0].parts:
        return ()  # nothing was compared
    return tuple(
        Alternative(
            text, round(one.score, 4), round(one.acoustic, 4), {key: round(v, 4) for key, v in one.parts.items()}
        )
        for text, one in zip(decoded.texts, decoded.readings, strict=True)
    )


def _name(source: Source, number: int) -> str:
    return f"samples {number}" if isinstance(source, tuple) else str(source)


def _seconds(source: Source) -> float:
    if not isinstance(source, tuple):
        return audio.info(source).duration
    samples, rate = source
    if not isinstance(samples, np.ndarray) or samples.ndim != 1 or samples.dtype.kind not in "fi":
        raise AudioError(
            "Samples must be a float or integer array of the shape (samples,), one channel of a recording."
        )
    if rate < 1 or len(samples) < audio.SHORTEST * rate:
        raise AudioError(f"{len(samples)} samples at {rate} Hz are too short to hold speech; check the sampling rate.")
    return len(samples) / rate


def _samples(source: Source, sampling_rate: int) -> np.ndarray:
    """float32 (samples,) at the sampling rate."""
    if not isinstance(source, tuple):
        return audio.load(source, sampling_rate)[0]
    import soxr

    samples, rate = source
    if samples.dtype.kind == "i":
        samples = samples / -float(np.iinfo(samples.dtype).min)
    samples = samples.astype(np.float32)
    if not np.isfinite(samples).all():
        raise AudioError("The samples hold NaN or infinite values; repair what made them.")
    return samples if rate == sampling_rate else soxr.resample(samples, rate, sampling_rate)
