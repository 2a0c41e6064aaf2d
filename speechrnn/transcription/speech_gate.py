"""A gate of a stream: frames without speech become blanks, whatever the network finds in noise and music."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from speechrnn.audio.streaming_vad import StreamDetectorName, StreamingSpeechDetector
from speechrnn.audio.vad import CHUNK
from speechrnn.decoding.frames import make_blank


@dataclass(frozen=True)
class SpeechGateOptions:
    """Configure which frames of a stream may have words; conf/listen.yaml explains each key.

    >>> SpeechGateOptions().detector
    'auto'

    Attributes:
        detector: "silero", "auto" for silero where it is installed, or "none": all frames may have words.
        threshold: probability of speech from which sound counts as speech.
        shortest: seconds for which it must stay above the threshold.
        before: seconds ahead of the moment at which that is known that belong to speech.
        after: seconds behind speech that belong to it.
    """

    detector: StreamDetectorName = "auto"
    threshold: float = field(default=0.5, metadata={"min": 0.0, "max": 1.0})
    shortest: float = field(default=0.1, metadata={"min": 0.0, "max": 10.0})
    before: float = field(default=0.15, metadata={"min": 0.0, "max": 10.0})
    after: float = field(default=0.6, metadata={"min": 0.0, "max": 10.0})


class SpeechGate:
    """Turn frames that are not close to speech into blanks of probability 1; hold frames back until this is known.

    What comes out does not depend on packets: the decision about a frame needs the sound up to `before` seconds behind
    it, and waits for it.
    """

    def __init__(self, options: SpeechGateOptions, detector: StreamingSpeechDetector, seconds_per_frame: float) -> None:
        """
        Args:
            options: of the gate.
            detector: of this stream alone, for samples at the model's rate.
            seconds_per_frame: of the log-probabilities.
        """
        self._options = options
        self._detector = detector
        self._seconds = seconds_per_frame
        self._chunks = 0  # whose probability is known
        self._shortest = max(1, round(options.shortest / CHUNK))  # chunks
        self._run = 0  # chunks above the threshold until now
        self._speech: list[int] = []  # numbers of the chunks that hold speech, in order, as far as they are needed
        self._frame = 0  # number of the next frame that comes out
        self._waiting: list[Tensor] = []  # (frames, symbols) each

    def accept(self, samples: np.ndarray, last: bool = False) -> None:
        """Take the next float32 (samples,); `last`: the stream ends with them."""
        self._take(self._detector.accept(samples))
        if last:
            self._take(self._detector.finish())

    def _take(self, probabilities: np.ndarray) -> None:
        """Take the (chunks,) probabilities of the next chunks."""
        for probability in probabilities.tolist():
            self._run = self._run + 1 if probability >= self._options.threshold else 0
            if self._run >= self._shortest:
                self._speech.append(self._chunks)
            self._chunks += 1

    def apply(self, log_probs: Tensor, last: bool = False) -> Tensor:
        """Take the next frames (frames, symbols); return those of which it is known whether they are close to speech.

        Args:
            log_probs: natural logarithms.
            last: whether the stream ends with them; then all frames come out.
        """
        rows = torch.cat([*self._waiting, log_probs])
        count = len(rows)
        if not last:
            known = self._chunks * CHUNK - self._options.before  # seconds
            count = max(0, min(count, math.floor(known / self._seconds + 1e-6) - self._frame))
        self._waiting = [rows[count:]] if count < len(rows) else []
        result = self._blanked(rows[:count], chunks=None)
        self._frame += count
        gone = bisect.bisect_left(self._speech, math.floor(self._from(self._frame) / CHUNK) - 1)
        del self._speech[:gone]
        return result

    def preview(self, log_probs: Tensor) -> Tensor:
        """Return all frames that wait and (frames, symbols) more, the latest as speech; the state stays as it is."""
        return self._blanked(torch.cat([*self._waiting, log_probs]), self._chunks)

    def _from(self, frame: int) -> float:
        """Return the second of the stream from which on speech lets a frame through."""
        return frame * self._seconds - self._options.after

    def _blanked(self, rows: Tensor, chunks: int | None) -> Tensor:
        """Return the frames from `_frame` on with those far from speech as sure blanks.

        Args:
            rows: (frames, symbols).
            chunks: from this one on, there may be speech that is not known yet; None: all is known.
        """
        closed = []
        for frame in range(self._frame, self._frame + len(rows)):
            end = (frame + 1) * self._seconds + self._options.before
            unknown = chunks is not None and end > chunks * CHUNK
            place = bisect.bisect_left(self._speech, math.floor(self._from(frame) / CHUNK))
            closed.append(not unknown and not (place < len(self._speech) and self._speech[place] * CHUNK < end - 1e-6))
        return make_blank(rows, closed)
