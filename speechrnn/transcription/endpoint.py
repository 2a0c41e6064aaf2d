"""End of a segment of a stream: at a pause, or between two words when it has become long."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from speechrnn.decoding.frames import make_blank
from speechrnn.nn.ctc import BLANK
from speechrnn.text.tokenizers import Tokenizer

SHORTEST_PAUSE = 0.15  # seconds without a label that end a segment however long it is
HARD_LIMIT = 1.25  # times the longest segment: it ends there, within a word if need be


@dataclass(frozen=True)
class EndpointOptions:
    """Configure where segments of a stream end.

    >>> EndpointOptions().silence
    0.8

    Attributes:
        silence: seconds without a label after which a segment ends. From half the longest segment on, less and less
            is enough.
        longest: seconds after which a segment ends where the next word begins.
    """

    silence: float = field(default=0.8, metadata={"min": 0.1})
    longest: float = field(default=20.0, metadata={"min": 1.0})


class Endpointer:
    """Follow one stream's most probable symbols and find where its segments end.

    Attributes:
        length: frames of the segment so far.
        trailing: frames since its last label.
        begun: whether it has a label.
    """

    def __init__(self, options: EndpointOptions, tokenizer: Tokenizer, seconds_per_frame: float) -> None:
        self._silence = options.silence / seconds_per_frame
        self._shortest = min(self._silence, SHORTEST_PAUSE / seconds_per_frame)
        self._longest = max(2.0, options.longest / seconds_per_frame)
        texts = [tokenizer.decode([symbol]) if symbol != BLANK else "" for symbol in range(len(tokenizer))]
        self._is_label = [bool(text.strip()) for text in texts]
        first = next((symbol for symbol, text in enumerate(texts) if text.strip()), BLANK)
        # A word begins where a space stands before a label, by itself or as part of it.
        self._begins_word = [
            symbol != BLANK and (not text.strip() or len(tokenizer.decode([first, symbol]).split()) > 1)
            for symbol, text in enumerate(texts)
        ]
        self._previous = BLANK
        self.restart()

    def restart(self) -> None:
        """Begin a segment."""
        self.length = self.trailing = 0
        self.begun = False

    def find(self, log_probs: Tensor) -> int | None:
        """Read frames until the segment ends.

        Args:
            log_probs: (frames, symbols), the next frames of the stream.

        Returns:
            the number of frames that still belong to the segment, 0 and up; None: it goes on behind all of them.
        """
        symbols = log_probs.argmax(1).tolist() if len(log_probs) else []
        for place, symbol in enumerate(symbols):
            word_begins = self._begins_word[symbol] and symbol != self._previous
            if word_begins and self.begun and self.length >= self._longest:
                return place
            self._previous = symbol
            self.length += 1
            self.trailing = 0 if self._is_label[symbol] else self.trailing + 1
            self.begun |= self._is_label[symbol]
            enough = self._silence
            if self.begun:
                enough = max(self._shortest, enough * min(1.0, 2.0 * (1.0 - self.length / self._longest)))
            if self.trailing >= enough or self.length >= HARD_LIMIT * self._longest:
                return place + 1
        return None


NO_SAMPLES = torch.tensor([[-math.inf], [math.inf]])  # the range of a frame without samples


class SilenceGate:
    """Turn the frames of digital silence into blanks; a network, which was trained on speech, may find words there."""

    MARGIN = 10  # frames before a frame that must be silent, too

    def __init__(self, step: int, level: float) -> None:
        """
        Args:
            step: samples of a frame.
            level: range of samples (greatest less least) up to which they are silent.
        """
        self._step = step
        self._level = level
        self._rest = torch.zeros(0)  # samples of a frame that is not complete
        # Greatest and least sample of the last `MARGIN` frames that were decided on, and of those that were not.
        self._ranges = NO_SAMPLES.expand(2, self.MARGIN)

    def accept(self, samples: Tensor) -> None:
        """Take the next float32 (samples,)."""
        samples = torch.cat([self._rest, samples])
        count = len(samples) // self._step
        frames = samples[: count * self._step].view(count, self._step)
        self._rest = samples[count * self._step :]
        if count:
            self._ranges = torch.cat([self._ranges, torch.stack([frames.amax(1), frames.amin(1)])], 1)

    def apply(self, log_probs: Tensor) -> Tensor:
        """Return the next frames (frames, symbols) with those of silence as sure blanks."""
        count = len(log_probs)
        if not count:
            return log_probs
        missing = max(0, self.MARGIN + count - self._ranges.shape[1])  # at the end of a stream
        ranges = torch.cat([self._ranges, NO_SAMPLES.expand(2, missing)], 1)
        greatest, least = ranges[:, : self.MARGIN + count].unfold(1, self.MARGIN + 1, 1)
        spread = greatest.amax(1) - least.amin(1)
        self._ranges = ranges[:, count:]
        return make_blank(log_probs, ((spread >= 0) & (spread <= self._level)).tolist())
