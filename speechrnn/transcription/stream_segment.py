"""The segment of a stream that is being recognised: its words, and which of them may still change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from torch import Tensor

from speechrnn.decoding.hypothesis import Word
from speechrnn.decoding.streaming import StreamingDecoder


class StreamSegment:
    """Follow the words of one segment of a stream; stable words never change.

    Attributes:
        decoder: of its frames.
        state: what the decoder has read.
        first: frame of the stream at which the segment begins.
        frames: that were decoded.
        stable: words that stay as they are, with times of the stream.
        shown: the words that `partial` returned last.
    """

    def __init__(
        self, decoder: StreamingDecoder, hot_words: Sequence[str], first: int, seconds_per_frame: float
    ) -> None:
        """Begin a segment at a frame of the stream; see `StreamingDecoder.start`."""
        self.decoder = decoder
        self.state = decoder.start(hot_words)
        self.first = first
        self.frames = 0
        self.stable: tuple[Word, ...] = ()
        self.shown: tuple[str, ...] = ()
        self._shown_stable = 0
        self._seconds_per_frame = seconds_per_frame

    @property
    def end(self) -> int:
        """Return the frame of the stream that follows the decoded ones."""
        return self.first + self.frames

    def partial(self, hold: float) -> tuple[Word, ...] | None:
        """Return the words so far, with times of the stream; None: they are those of the last call, and as stable.

        Words that end within the latest `hold` seconds are held back, unless they are stable: they mostly change.
        """
        words, stable = self.decoder.partial(self.state) if self.frames else ((), 0)
        sure = self.frames * self._seconds_per_frame - hold + 1e-6  # seconds
        settled = sum(1 for _ in takewhile(lambda word: word.end <= sure, words))
        placed = self._place(words[: max(stable, settled)])
        self.stable += placed[len(self.stable) : stable]
        shown = tuple(word.word for word in placed)
        if (shown, len(self.stable)) == (self.shown, self._shown_stable):
            return None
        self.shown, self._shown_stable = shown, len(self.stable)
        return placed

    def preview(self, log_probs: Tensor) -> tuple[Word, ...]:
        """Return the words after (frames, symbols) more log-probabilities; the segment stays as it is."""
        return self._place(self.decoder.preview(self.state, log_probs)[0])

    def finish(self) -> tuple[Word, ...]:
        """End the segment: return its words, with times of the stream."""
        return self._place(self.decoder.finish(self.state).words) if self.frames else ()

    def _place(self, words: Sequence[Word]) -> tuple[Word, ...]:
        """Return words with times of the stream; the first ones are those that are stable."""
        offset = self.first * self._seconds_per_frame
        placed = [
            replace(
                word,
                start=round(offset + word.start, 3),
                end=round(offset + word.end, 3),
                confidence=round(word.confidence, 4),
            )
            for word in words[len(self.stable) :]
        ]
        return (*self.stable, *placed)
