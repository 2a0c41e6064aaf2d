"""The frames of a search, with their symbols ordered by probability; frames that are certainly blank are left out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.nn.ctc import BLANK

CHUNK = 2**22  # log-probabilities that are put in order together


def make_blank(log_probs: Tensor, places: Sequence[bool]) -> Tensor:
    """Return log-probabilities in which the blank of some frames has probability 1; the same tensor for no frames.

    >>> make_blank(torch.tensor([[0.5, 0.5], [0.5, 0.5]]).log(), [False, True]).exp()
    tensor([[0.5000, 0.5000],
            [1.0000, 0.0000]])

    Args:
        log_probs: (frames, symbols).
        places: whether each frame becomes a blank.
    """
    if not any(places):
        return log_probs
    log_probs = log_probs.clone()
    rows = torch.tensor(places, device=log_probs.device)
    log_probs[rows] = -torch.inf
    log_probs[rows, BLANK] = 0.0
    return log_probs


class Frame(NamedTuple):
    """One frame of the utterances that still have one, not at the same time in each.

    Attributes:
        log_probs: (active, symbols); the most probable symbol has 0.
        blank: (active, 1) of the blank.
        values: (active, labels) of the labels, falling; -inf from the first one that isn't worth trying.
        labels: (active, labels + 1) which ones these are, and 0 after the last.
        ranks: (active, symbols) where each symbol stands there, times `Frames.stride`; those that don't, the blank
            among them, stand after the last.
        after_blank: (active, 1) whether blank frames were left out before it; None: nowhere.
        tried: labels worth trying in any of the utterances.
    """

    log_probs: Tensor
    blank: Tensor
    values: Tensor
    labels: Tensor
    ranks: Tensor
    after_blank: Tensor | None
    tried: int


class Frames:
    """The frames of a batch, without those that the search skips.

    A frame whose blank has at least the probability `blank_threshold` multiplies the mass of all hypotheses alike, and
    leaves none that end in a label without a blank behind it. So such frames are skipped, and each utterance goes
    through its other frames only. A frame where all symbols are impossible is skipped as well.

    Attributes:
        order: (batch,) utterances by falling number of frames; the first ones are the `active`.
        labels: how many of the labels a frame has in order.
        offsets: (batch,) float64 on the CPU, in that order: the log-probability that all hypotheses have in common.
    """

    def __init__(
        self,
        log_probs: Tensor,
        frames: Tensor,
        blank_threshold: float,
        symbol_threshold: float,
        labels: int,
        stride: int = 1,
        after_blank: Tensor | None = None,
    ) -> None:
        """See `BeamOptions`; `labels`: how many of a frame can matter.

        Args:
            after_blank: (batch,) whether blank frames were left out before the first one; None: nowhere.

        Raises:
            UserError: NaN or +inf among the log-probabilities of an utterance.
        """
        log_probs = log_probs.float()
        inside = torch.arange(log_probs.shape[1], device=log_probs.device) < frames[:, None]
        peaks = log_probs.amax(2).masked_fill(~inside, -math.inf)  # NaN where one is
        wrong = ~(peaks < math.inf).all(1)
        if bool(wrong.any()):
            number = int(wrong.nonzero()[0])
            raise UserError(
                f"The log-probabilities of utterance {number} of the batch (from 0) hold NaN or infinity; "
                "look for a damaged model or damaged audio."
            )
        blanks = log_probs[:, :, BLANK]
        possible = inside & (peaks > -math.inf)
        left_out = possible & (blanks.exp() >= blank_threshold) & (blank_threshold < 1)
        live = possible & ~left_out
        common = torch.where(left_out, blanks, peaks).masked_fill(~possible, 0.0)
        counts, self.order = live.sum(1).sort(descending=True, stable=True)
        self.offsets = common.cpu().sum(1, dtype=torch.float64)[self.order.cpu()]
        self._counts = counts.tolist()
        times = live[self.order].to(torch.int8).argsort(dim=1, descending=True, stable=True)
        self._times = times[:, : max(self._counts, default=0)].T.contiguous()  # (steps, batch)
        self._log_probs, self._peaks = log_probs, peaks
        self._blanks = left_out.cumsum(1)
        self._blanks_before = torch.zeros_like(frames) if after_blank is None else -after_blank.long()
        self._symbol_threshold = symbol_threshold
        self.labels = min(labels, log_probs.shape[2] - 1)
        self.stride = stride

    def trailing_blanks(self) -> Tensor:
        """Return (batch,) whether blank frames were left out behind an utterance's last frame.

        In the order of the batch; where no frame is left, those before it count.
        """
        counts = torch.tensor(self._counts, device=self.order.device)
        before = self._blanks_before[self.order]
        if self._blanks.shape[1] == 0:
            return (before < 0)[self.order.argsort()]
        if len(self._times):
            last = self._times.gather(0, (counts - 1).clamp_min(0).unsqueeze(0))[0]
            before = torch.where(counts > 0, self._blanks[self.order, last], before)
        return (self._blanks[self.order, -1] > before)[self.order.argsort()]

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames, in order."""
        active = len(self._counts)
        before = self._blanks_before[self.order].unsqueeze(0)
        chunk = max(1, CHUNK // (active * self._log_probs.shape[2]))
        for first in range(0, len(self._times), chunk):
            times = self._times[first : first + chunk]
            inside = torch.arange(first, first + len(times), device=times.device)[:, None] < torch.tensor(
                self._counts, device=times.device
            )
            log_probs = self._log_probs[self.order, times] - self._peaks[self.order, times].unsqueeze(2)
            log_probs = log_probs.masked_fill(~inside.unsqueeze(2), -math.inf)
            blanks = self._blanks[self.order, times]
            after_blank = (blanks > torch.cat([before, blanks[:-1]])) & inside
            before = blanks[-1:]
            values, labels = largest(log_probs[:, :, BLANK + 1 :], self.labels)
            labels += BLANK + 1
            ranks = torch.full_like(log_probs, self.labels, dtype=torch.int64)
            ranks.scatter_(2, labels, torch.arange(self.labels, device=labels.device).expand_as(labels))
            ranks *= self.stride
            tried = [self.labels] * len(times)
            if self._symbol_threshold > 0:
                small = values < math.log(self._symbol_threshold)
                values = values.masked_fill(small, -math.inf)
                tried = (~small).sum(2).amax(1).tolist()
            labels = torch.cat([labels, torch.zeros_like(ranks[:, :, :1])], 2)
            blank = log_probs[:, :, BLANK : BLANK + 1]
            somewhere = after_blank.any(1).tolist()
            parts = (log_probs, blank, values, labels, ranks, after_blank.unsqueeze(2))
            columns = [part.unbind() for part in parts]
            for step, row in enumerate(zip(*columns, strict=True)):
                while self._counts[active - 1] <= first + step:
                    active -= 1
                if active < len(self._counts):
                    row = tuple(part[:active] for part in row)
                *tensors, after = row
                fields = [*tensors, after if somewhere[step] else None, tried[step]]
                yield Frame._make(fields)


def largest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the largest values along the last dimension, in falling order, and their indices."""
    if values.device.type != "cpu":
        return values.topk(count)
    # numpy orders short rows four times as fast as torch, which has no vector instructions for it
    order = torch.from_numpy(np.argsort(-values.numpy(), axis=-1)[..., :count].copy())
    return values.gather(-1, order), order
