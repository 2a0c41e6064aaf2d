"""Live recognition: samples in, partial and final words out."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from speechrnn.audio.io import MIN_SECONDS
from speechrnn.audio.samples import SILENCE
from speechrnn.audio.streaming_vad import StreamingSpeechDetector, build_stream_detector
from speechrnn.decoding.decoder import Decoder, GreedyDecoder, make_greedy
from speechrnn.decoding.hypothesis import Word
from speechrnn.decoding.model_facts import ModelFacts, read_facts
from speechrnn.decoding.streaming import StreamingDecoder, make_streaming_decoder
from speechrnn.decoding.tuned_weights import read_tuned
from speechrnn.nn.acoustic import AcousticModel, in_bfloat16
from speechrnn.nn.streaming import StreamingNetwork
from speechrnn.text.tokenizers import Tokenizer
from speechrnn.transcription.bundle import model_name, resolve_models
from speechrnn.transcription.endpoint import Endpointer, EndpointOptions, SilenceGate
from speechrnn.transcription.events import Event
from speechrnn.transcription.options import keywords_of
from speechrnn.transcription.recognizer import load_recognizer, warn_uncalibrated
from speechrnn.transcription.runtime import choose
from speechrnn.transcription.samples import Samples
from speechrnn.transcription.speech_gate import SpeechGate, SpeechGateOptions
from speechrnn.transcription.stream_input import StreamInput
from speechrnn.transcription.stream_segment import StreamSegment
from speechrnn.transcription.stream_warnings import StreamWarnings
from speechrnn.transcription.streaming_options import StreamingOptions, blocks_for, frames_between_partials

logger = logging.getLogger("speechrnn")


class StreamingRecognizer:
    """Recognise any number of streams with one model; streams that get samples together share a batch.

    >>> recognizer = StreamingRecognizer.load("outputs/demo/acoustic", latency=0.6)  # doctest: +SKIP
    >>> first, second = recognizer.stream(), recognizer.stream(8000)  # doctest: +SKIP
    >>> recognizer.accept([first, second], [samples, others])  # doctest: +SKIP

    Attributes:
        name: of the model.
        sampling_rate: Hz, of the model.
        decoding: name of the way of decoding.
        latency: seconds between a sound and the last one that its words depend on, at most.
    """

    def __init__(
        self,
        model: AcousticModel,
        tokenizer: Tokenizer,
        name: str,
        *,
        decoder: Decoder | None = None,
        greedy: Decoder | None = None,
        latency: float = 0.6,
        hold: float = 0.0,
        endpoint: EndpointOptions | None = None,
        gate: SpeechGateOptions | None = None,
        facts: ModelFacts | None = None,
    ) -> None:
        """
        Args:
            model: the network, on its device.
            tokenizer: its alphabet.
            name: of the model.
            decoder: of recordings, whose words the streams get; nothing else may use it. None: greedy.
            greedy: of streams for which the machine is too slow; None: one without calibrated confidences.
            latency, hold: see `StreamingOptions`.
            endpoint: where segments end; None: the defaults.
            gate: which frames may have words; None: all.
            facts: about the model; streams that lie far from them have a warning.

        Raises:
            UserError: the model's features need the whole recording, or the gate a package that is not installed.
        """
        self.name = name
        self.tokenizer = tokenizer
        self.sampling_rate = model.front_end.options.sampling_rate
        self.seconds_per_frame = model.seconds_per_frame
        self.hold = hold
        self.endpoint = endpoint or EndpointOptions()
        self.facts = facts or ModelFacts()
        self._gate = gate
        self._detector = None if gate is None else build_stream_detector(gate.detector)
        self.network = StreamingNetwork(model, blocks_for(latency, model))
        self.latency = self.network.latency
        self.partial_frames = frames_between_partials(self.network.blocks, model.seconds_per_frame)
        device = model.head.weight.device
        greedy = greedy or GreedyDecoder(tokenizer, model.seconds_per_frame)
        self.decoder = make_streaming_decoder(decoder or greedy, device)
        self.greedy = make_streaming_decoder(greedy, device)
        self.decoding = self.decoder.name
        self.step = round(model.seconds_per_frame * self.sampling_rate)
        if model.options.bidirectional and model.options.streaming == 0:
            logger.warning(
                "The model %s was trained on whole recordings only (acoustic.streaming=0); live, it makes more "
                "mistakes. Train with acoustic.streaming=0.4, or acoustic.bidirectional=false for the lowest latency.",
                name,
            )

    @classmethod
    @keywords_of(StreamingOptions)
    def load(cls, folder: str | Path, options: StreamingOptions) -> StreamingRecognizer:
        """Load a model by its name or directory; the keywords are the fields of `StreamingOptions`.

        Args:
            folder: a name such as "english", the directory of an acoustic model, or the folder of a run.
            options: made of the keywords.

        Raises:
            UserError: no acoustic model, one that cannot stream, or a language model that does not fit to it.
        """
        return cls.from_options(folder, options)

    @classmethod
    def from_options(cls, folder: str | Path, options: StreamingOptions) -> StreamingRecognizer:
        """Load a model; see `load`."""
        acoustic, options = resolve_models(folder, options)
        warn_uncalibrated(acoustic, options.search, options.language_model)
        language = None if options.language_model is None else Path(options.language_model)
        model, tokenizer, decoder, device = load_recognizer(acoustic, options.search, language, device=options.device)
        if choose("torch", options.precision, device, cell=model.options.cell)[1] == "bfloat16":
            model = in_bfloat16(model)
        return cls(
            model,
            tokenizer,
            model_name(acoustic),
            decoder=decoder,
            greedy=make_greedy(tokenizer, model.seconds_per_frame, read_tuned(acoustic)),
            latency=options.latency,
            hold=options.hold,
            endpoint=options.endpoint,
            gate=options.gate,
            facts=read_facts(acoustic),
        )

    def make_gate(self) -> SpeechGate | None:
        """Make the gate of a stream that begins; None: all frames may have words."""
        if self._gate is None or self._detector is None:
            return None
        detector = StreamingSpeechDetector(self._detector, self.sampling_rate)
        return SpeechGate(self._gate, detector, self.seconds_per_frame)

    def stream(self, sampling_rate: int | None = None, hot_words: Sequence[str] = ()) -> Streamer:
        """Begin a stream.

        Args:
            sampling_rate: Hz, of its samples; None: the model's.
            hot_words: words and phrases that are expected in it, besides those of the options.

        Raises:
            UserError: the acoustic model cannot write the hot words, or decoding is greedy.
            AudioError: no such sampling rate.
        """
        return Streamer(self, self.sampling_rate if sampling_rate is None else sampling_rate, tuple(hot_words))

    def accept(
        self,
        streamers: Sequence[Streamer],
        packets: Sequence[Samples],
        ended: Sequence[bool] | None = None,
    ) -> list[list[Event]]:
        """Recognise the next samples of some streams together.

        Args:
            streamers: distinct streams of this recogniser.
            packets: for each its samples, see `Streamer.accept`.
            ended: whether each ends with its samples; None: none does.

        Returns:
            the events of each.

        Raises:
            ValueError: a stream is given twice. See `Streamer.accept`, too.
        """
        if len({id(streamer) for streamer in streamers}) < len(streamers):
            raise ValueError("a stream is given twice; give each of them once")
        events: list[list[Event]] = [[] for _ in streamers]
        ends = list(ended) if ended is not None else [False] * len(streamers)
        for streamer, packet in zip(streamers, packets, strict=True):
            streamer.check(packet)  # all of them first: of an exception, the other streams lose nothing
        rows = zip(streamers, packets, ends, strict=True)
        samples = [streamer.prepare(packet, end) for streamer, packet, end in rows]
        ends = [end and streamer.has_frames for streamer, end in zip(streamers, ends, strict=True)]
        found = self.network.advance([streamer.network_state for streamer in streamers], samples, ends)
        active = [
            (streamer, streamer.apply_gates(log_probs, end), end, into)
            for streamer, log_probs, end, into in zip(streamers, found, ends, events, strict=True)
        ]
        active = [row for row in active if len(row[1]) or row[2]]
        while active:
            parts = [log_probs[: streamer.frames_to_partial] for streamer, log_probs, *_ in active]
            cuts = [streamer.endpointer.find(part) for (streamer, *_), part in zip(active, parts, strict=True)]
            self._decode(
                [streamer for streamer, *_ in active], [part[:cut] for part, cut in zip(parts, cuts, strict=True)]
            )
            following = []
            for (streamer, log_probs, end, into), part, cut in zip(active, parts, cuts, strict=True):
                rest = log_probs[len(part) if cut is None else cut :]
                if cut is not None:
                    into += streamer.end_segment()
                elif end and not len(rest):
                    into += streamer.end_segment(last=True)
                    continue
                elif partial := streamer.update():
                    if into and into[-1].kind == "partial":
                        into.pop()  # at most one for each segment
                    into.append(partial)
                if end or len(rest):
                    following.append((streamer, rest, end, into))
            active = following
        return events

    def _decode(self, streamers: Sequence[Streamer], log_probs: Sequence[Tensor]) -> None:
        """Decode frames; streams with the same decoder are decoded together."""
        for decoder in (self.decoder, self.greedy):
            chosen = [number for number, streamer in enumerate(streamers) if streamer.segment.decoder is decoder]
            if chosen:
                decoder.advance([streamers[n].segment.state for n in chosen], [log_probs[n] for n in chosen])
        for streamer, rows in zip(streamers, log_probs, strict=True):
            streamer.segment.frames += len(rows)


class Streamer:
    """Recognise one stream.

    >>> streamer = Streamer.load("outputs/demo/acoustic", latency=0.6)  # doctest: +SKIP
    >>> for packet in microphone:  # doctest: +SKIP
    ...     for event in streamer.accept(packet):
    ...         print(event.kind, event.text)
    >>> streamer.finish()  # doctest: +SKIP

    Guarantees: stable words of a segment never change; a final has at least the words that were stable;
    the words do not depend on the size of packets; memory does not grow with the length of the stream.

    Attributes:
        recognizer: the model, which other streams may share (`recognizer.stream()`).
        sampling_rate: Hz, of the samples that come in.
        hot_words: that are expected in the stream.
        segment: that is being recognised.
        finals: number of finals so far.
        samples: that came in, at the model's rate.
        warnings: reasons to doubt its words.
    """

    def __init__(self, recognizer: StreamingRecognizer, sampling_rate: int, hot_words: tuple[str, ...] = ()) -> None:
        """See `StreamingRecognizer.stream`."""
        self.warnings = StreamWarnings(recognizer.facts, recognizer.sampling_rate)
        self._input = StreamInput(sampling_rate, recognizer.sampling_rate, self.warnings)
        self.warnings.check_rate(sampling_rate)
        self.recognizer = recognizer
        self.sampling_rate = sampling_rate
        self.hot_words = hot_words
        self.network_state = recognizer.network.start()
        self.endpointer = Endpointer(recognizer.endpoint, recognizer.tokenizer, recognizer.seconds_per_frame)
        self._silence_gate = SilenceGate(recognizer.step, SILENCE)
        self._speech_gate = recognizer.make_gate()
        self.samples = 0
        self.finals = 0
        self._next_decoder: StreamingDecoder = recognizer.decoder
        self.segment = self._begin_segment(0)

    @classmethod
    @keywords_of(StreamingOptions)
    def load(cls, folder: str | Path, options: StreamingOptions) -> Streamer:
        """Load a model for one stream of its own sampling rate; see `StreamingRecognizer.load`."""
        return StreamingRecognizer.from_options(folder, options).stream()

    def accept(self, samples: Samples) -> list[Event]:
        """Recognise the next samples.

        Args:
            samples: float (full scale 1.0) or integer, (samples,) or with channels, which are averaged; of any number,
                0 included. NaN and infinite values count as silence.

        Returns:
            what has changed: at most one partial event for each segment that goes on, and finals.

        Raises:
            ValueError: the stream has ended.
            AudioError: the samples are no sound.
        """
        return self.recognizer.accept([self], [samples])[0]

    def finish(self) -> list[Event]:
        """End the stream: recognise what is left, and return the last final, if it has words or warnings."""
        return self.recognizer.accept([self], [np.zeros(0, np.float32)], [True])[0]

    def partial(self) -> Event:
        """Recognise all samples so far, also those whose look-ahead has not come yet, and return their words.

        Events of `accept` wait for the look-ahead and hold back the latest words, and so make fewer mistakes. After
        `finish` there are no words.
        """
        if self.network_state.ended or not self.has_frames:
            return self._event("partial", ())
        state = copy.copy(self.network_state)
        state.packets = list(state.packets)
        log_probs = self.recognizer.network.advance([state], [torch.zeros(0)], [True])[0]
        log_probs = copy.copy(self._silence_gate).apply(log_probs)
        if self._speech_gate is not None:
            log_probs = self._speech_gate.preview(log_probs)
        return self._event("partial", self.segment.preview(log_probs))

    def simplify(self, way: Literal["greedy", "larger_blocks"]) -> None:
        """Spend less time on the stream, for a machine that is too slow.

        Args:
            way: greedy decoding from the next segment on, or blocks that are twice as long, with that much more delay.
        """
        if way == "greedy":
            self.hot_words = ()
            self._next_decoder = self.recognizer.greedy
        else:
            self.network_state.size *= 2

    @property
    def has_frames(self) -> bool:
        """Return whether enough sound came in for a frame: a stream that ends before its first window is no sound."""
        return self.samples >= MIN_SECONDS * self.recognizer.sampling_rate

    @property
    def frames_to_partial(self) -> int:
        """Return how many frames are missing until a partial may come.

        It comes after blocks, not packets: on packets, neither finals nor times of stable words may depend.
        """
        return self.recognizer.partial_frames - self.segment.end % self.recognizer.partial_frames

    def check(self, packet: Samples) -> None:
        """Raise what `accept` raises over a packet."""
        self._input.check(packet)

    def prepare(self, packet: Samples, last: bool) -> Tensor:
        """Convert samples to float32 (samples,) at the model's rate; see `accept`."""
        samples = self._input.accept(packet, last)
        self._silence_gate.accept(samples)
        if self._speech_gate is not None:
            self._speech_gate.accept(samples.numpy(), last)
        self.samples += len(samples)
        return samples

    def apply_gates(self, log_probs: Tensor, last: bool) -> Tensor:
        """Return the next frames that may be decoded, with those that can have no words as sure blanks.

        Args:
            log_probs: (frames, symbols) of the network.
            last: whether the stream ends with them.
        """
        log_probs = self._silence_gate.apply(log_probs)
        return log_probs if self._speech_gate is None else self._speech_gate.apply(log_probs, last)

    def update(self) -> Event | None:
        """Return a partial event if it is time for one and the words have changed."""
        if self.frames_to_partial < self.recognizer.partial_frames:
            return None
        words = self.segment.partial(self.recognizer.hold)
        return None if words is None else self._event("partial", words)

    def end_segment(self, last: bool = False) -> list[Event]:
        """End the segment: return its final, if it has words or had some, and begin the next one.

        The last one of a stream has a final for warnings alone, too.
        """
        words = self.segment.finish()
        if words:
            self.warnings.check_segment(self.segment.state.log_probs)
        events = []
        if words or self.segment.shown or (last and self.warnings.waiting):
            events = [self._event("final", words)]
            self.finals += 1
        self.segment = self._begin_segment(self.segment.end)
        self.endpointer.restart()
        return events

    def _begin_segment(self, first: int) -> StreamSegment:
        seconds_per_frame = self.recognizer.seconds_per_frame
        return StreamSegment(self._next_decoder, self.hot_words, first, seconds_per_frame=seconds_per_frame)

    def _event(self, kind: Literal["partial", "final"], words: tuple[Word, ...]) -> Event:
        final = kind == "final"
        return Event(
            kind,
            self.finals,
            " ".join(word.word for word in words),
            words=words,
            stable_words=len(words) if final else len(self.segment.stable),
            time=round(self.segment.end * self.recognizer.seconds_per_frame, 3),
            warnings=self.warnings.take() if final else (),
        )
