"""Join the emissions of overlapping windows into segments of running speech, ready to be decoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from speechrnn.nn.ctc import BLANK

LONGEST = 300.0  # seconds of a segment that are decoded together; longer ones are cut at a pause
CERTAIN_BLANK = 0.99  # probability from which a frame counts as blank when a place to cut is sought


@dataclass(frozen=True)
class SpeechSegment:
    """Hold the emissions of a segment of running speech.

    Attributes:
        start: seconds from the start of the recording.
        log_probs: (frames, symbols).
    """

    start: float
    log_probs: Tensor


class SegmentAssembler:
    """Collect the emissions of one recording's windows, in order, and cut them into speech segments."""

    def __init__(self, seconds_per_frame: float) -> None:
        self.seconds_per_frame = seconds_per_frame
        self._longest = max(2, round(LONGEST / seconds_per_frame))
        self._start = 0.0
        self._parts: list[Tensor] = []
        self._frames = 0

    def add(self, start: float, log_probs: Tensor, first: bool, last: bool) -> Iterator[SpeechSegment]:
        """Add the emissions of one window, without its context.

        Args:
            start: of the first frame, seconds from the start of the recording.
            log_probs: (frames, symbols), context frames removed (`trim_context`).
            first: whether a segment begins with the window.
            last: whether a segment ends with the window.

        Yields:
            The segments that are now complete. No more than `LONGEST` seconds are held back.
        """
        if first:
            self._start, self._parts, self._frames = start, [], 0
        self._parts.append(log_probs)
        self._frames += len(log_probs)
        while self._frames >= self._longest:
            joined = torch.cat(self._parts)
            # Only a fixed number of frames is searched, so that the cut does not depend on where the windows lie.
            cut = find_pause(joined[: self._longest])
            yield SpeechSegment(self._start, joined[:cut])
            self._start += cut * self.seconds_per_frame
            self._parts = [joined[cut:].clone()]  # a view would keep the whole tensor in memory
            self._frames -= cut
        if last:
            if self._frames:
                yield SpeechSegment(self._start, torch.cat(self._parts))
            self._parts, self._frames = [], 0


def find_pause(log_probs: Tensor) -> int:
    """Find the best place to cut a segment in its second half: amid the longest run of certain blanks.

    Where no frame is certainly blank, the frame with the highest blank probability is taken.

    Args:
        log_probs: (frames, symbols).

    Returns:
        The number of frames before the cut, at least 1.
    """
    half = len(log_probs) // 2
    blank = log_probs[half:, BLANK].exp().numpy()
    edges = np.flatnonzero(np.diff(np.concatenate([[False], blank >= CERTAIN_BLANK, [False]])))
    begins, ends = edges[::2], edges[1::2]
    if not len(begins):
        return max(1, half + int(blank.argmax()))
    longest = int((ends - begins).argmax())
    return max(1, half + int(begins[longest] + ends[longest]) // 2)


def trim_context(log_probs: Tensor, start: int, valid: tuple[int, int], step: int, last: bool) -> Tensor:
    """Remove the frames of a window that only served as context.

    Args:
        log_probs: (frames, symbols) of the whole window.
        start: sample of the recording at which the window begins.
        valid: first sample whose frames are kept, and the one behind the last, counted from the recording's start.
        step: samples per frame.
        last: whether the segment ends with the window; then all frames to the end are kept.

    Returns:
        (kept frames, symbols), a view.
    """
    begin = (valid[0] - start) // step
    return log_probs[begin:] if last else log_probs[begin : (valid[1] - start) // step]
