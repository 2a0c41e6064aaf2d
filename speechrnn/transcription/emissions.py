"""What the network heard in the pieces of a recording, joined to stretches of speech as if each had been one piece."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from speechrnn.nn.acoustic import BLANK

LONGEST = 300.0  # seconds of a stretch that are decoded together; longer ones are cut at a pause
SURE = 0.99  # probability from which a frame is taken for blank when a place to cut is sought


@dataclass(frozen=True)
class Stretch:
    """Running speech, ready to be decoded.

    Attributes:
        start: seconds from the start of the recording.
        log_probs: (frames, symbols).
    """

    start: float
    log_probs: Tensor


class Stretches:
    """Collects the frames of one recording's pieces, in the order in which they were said."""

    def __init__(self, seconds_per_frame: float) -> None:
        self.seconds_per_frame = seconds_per_frame
        self._longest = max(2, round(LONGEST / seconds_per_frame))
        self._start = 0.0
        self._parts: list[Tensor] = []
        self._frames = 0

    def add(self, start: float, log_probs: Tensor, first: bool, last: bool) -> Iterator[Stretch]:
        """Takes the frames of one piece.

        Args:
            start: of the first frame, seconds from the start of the recording.
            log_probs: (frames, symbols) that count, margins dropped.
            first, last: whether a stretch begins or ends with the piece.

        Yields:
            what is now complete. However long people speak, no more than `LONGEST` is held back.
        """
        if first:
            self._start, self._parts, self._frames = start, [], 0
        self._parts.append(log_probs)
        self._frames += len(log_probs)
        while self._frames >= self._longest:
            whole = torch.cat(self._parts)
            # Which frames are looked at must not depend on how the pieces lie.
            cut = pause(whole[: self._longest])
            yield Stretch(self._start, whole[:cut])
            self._start += cut * self.seconds_per_frame
            self._parts = [whole[cut:].clone()]  # a view would keep the whole
            self._frames -= cut
        if last:
            if self._frames:
                yield Stretch(self._start, torch.cat(self._parts))
            self._parts, self._frames = [], 0


def pause(log_probs: Tensor) -> int:
    """Where (frames, symbols) can be cut with the least harm, in its second half: amid the longest sure run of blanks.

    Where no frame is surely blank, the likeliest one to be.

    Returns:
        frames before the cut, at least 1.
    """
    half = len(log_probs) // 2
    blank = log_probs[half:, BLANK].exp().numpy()
    edges = np.flatnonzero(np.diff(np.concatenate([[False], blank >= SURE, [False]])))
    begins, ends = edges[::2], edges[1::2]
    if not len(begins):
        return max(1, half + int(blank.argmax()))
    longest = int((ends - begins).argmax())
    return max(1, half + int(begins[longest] + ends[longest]) // 2)


def kept(log_probs: Tensor, start: int, keep: tuple[int, int], step: int, last: bool) -> Tensor:
    """The frames of a piece that count.

    Args:
        log_probs: (frames, symbols) of the whole piece.
        start: sample of the recording where the piece begins.
        keep: samples of the recording, from and to, whose frames count.
        step: samples a frame.
        last: whether the stretch ends with the piece, which then keeps all frames to its end.
    """
    begin = (keep[0] - start) // step
    return log_probs[begin:] if last else log_probs[begin : (keep[1] - start) // step]
