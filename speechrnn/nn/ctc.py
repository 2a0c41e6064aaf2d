"""Losses of connectionist temporal classification (CTC, Graves et al. 2006)."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from speechrnn.audio.frame_mask import frame_mask

IMPOSSIBLE = -1e4  # log-probability; finite, since minus infinity has no gradient
BLANK = 0  # index of CTC's blank in every alphabet
PRIOR_DECAY = 0.99  # factor of the running mean at each step
PRIOR_FLOOR = 1e-4  # least prior, so that the loss favours rare symbols to a limit only


def ctc_loss(
    log_probs: Tensor,
    frames: Tensor,
    labels: Tensor,
    label_lengths: Tensor,
    spoken: Tensor | None = None,
    log_priors: Tensor | None = None,
) -> Tensor:
    """Return the mean over the batch of each utterance's negative log-likelihood in nats a label.

    CTC leaves it to the network at which frame it writes a label, and a bidirectional network may write the first word
    at the first frame, before it is spoken. Where training has added silence around the speech, the place of the speech
    is known: outside it, only paths of blanks count.

    >>> log_probs = torch.full((1, 2, 3), 1 / 3).log()
    >>> round(ctc_loss(log_probs, torch.tensor([2]), torch.tensor([[1]]), torch.tensor([1])).item(), 3)  # 3 of 9 paths
    1.099

    Args:
        log_probs: (batch, frames, symbols).
        frames: (batch,) valid frames; on the CPU they need not be read from a GPU.
        labels: (batch, labels) padded, or (all labels of the batch,) one utterance after the other.
        label_lengths: (batch,) labels of each utterance; as `frames`.
        spoken: (batch, 2), the number of frames until the speech begins and until it ends; None: labels may stand
            anywhere.
        log_priors: (symbols,) by which each frame's log-probabilities are lowered, see `LabelPriors`; None: none.

    Source:
        Graves et al. 2006, equation 8.
    """
    host_frames, host_lengths = frames, label_lengths
    frames, label_lengths = (part.to(log_probs.device, non_blocking=True) for part in (frames, label_lengths))
    pauses = torch.zeros_like(frames, dtype=log_probs.dtype)
    if spoken is not None:
        position = torch.arange(log_probs.shape[1], device=log_probs.device)
        # One frame of tolerance on both sides: rounding may place the speech a frame earlier or later.
        inside = (position >= spoken[:, :1] - 1) & (position <= spoken[:, 1:])
        pauses = -log_probs[:, :, BLANK].masked_fill(inside | (position >= frames[:, None]), 0.0).sum(1)
        scores = log_probs if log_priors is None else log_probs - log_priors
        blank = torch.full_like(log_probs[0, 0], IMPOSSIBLE)
        blank[BLANK] = 0.0
        log_probs = torch.where(inside[:, :, None], scores, blank)
    elif log_priors is not None:
        log_probs = log_probs - log_priors
    losses = F.ctc_loss(log_probs.transpose(0, 1), labels, host_frames, host_lengths, BLANK, reduction="none")
    if log_priors is not None:
        losses = losses + gradient_correction(log_probs, frames)
    return ((losses + pauses) / label_lengths.clamp_min(1)).mean()


def gradient_correction(scores: Tensor, frames: Tensor) -> Tensor:
    """Return zeros (batch,) whose gradient corrects that of torch's CTC loss for scores that are no probabilities.

    torch returns exp(score) - occupancy as the gradient of a score, which is right behind a softmax only
    (https://github.com/pytorch/pytorch/issues/122243); the gradient is -occupancy.

    Args:
        scores: (batch, frames, symbols) that `F.ctc_loss` was given.
        frames: (batch,) valid frames.
    """
    excess = (scores.detach().exp() * scores).sum(2)  # (batch, frames)
    excess = (excess * frame_mask(frames, excess.shape[1])).sum(1)
    return excess.detach() - excess


class LabelPriors:
    """The mean distribution of a network's outputs, by which the CTC loss divides them.

    A network trained with CTC writes each label in one frame and blank in all others. Where the loss divides by how
    often a symbol is written, blanks are worth less, and labels last as long as their sounds: times become sharper.

    >>> priors = LabelPriors(0.3, symbols=4)
    >>> [round(share, 3) for share in priors.weighted().exp().pow(1 / 0.3).tolist()]
    [0.25, 0.25, 0.25, 0.25]

    Source:
        Huang et al. 2024, "Less peaky and more accurate CTC forced alignment by label priors", where the weight is 0.3
        and the priors are those of the epoch before; here they are a running mean, which needs no epochs.
    """

    def __init__(self, weight: float, symbols: int) -> None:
        """Take the exponent of the priors, and the size of the alphabet with the blank."""
        self.weight = weight
        self.mean = torch.full((symbols,), 1.0 / symbols)

    def weighted(self) -> Tensor:
        """Return the logarithms of the priors, times the weight: (symbols,)."""
        return self.weight * self.mean.clamp_min(PRIOR_FLOOR).log()

    def update(self, log_probs: Tensor, frames: Tensor) -> None:
        """Move the mean towards a batch (batch, frames, symbols) with (batch,) valid frames."""
        mask = frame_mask(frames, log_probs.shape[1]).unsqueeze(2)
        mean = (log_probs.detach().float().exp() * mask).sum((0, 1)) / mask.sum()
        moved = self.mean + (1.0 - PRIOR_DECAY) * (mean - self.mean)
        self.mean = torch.where(torch.isfinite(moved).all(), moved, self.mean)


def required_frames(labels: list[int]) -> int:
    """Return the least number of frames that CTC needs for labels: one each, and a blank between equal neighbours.

    >>> required_frames([1, 2, 2])
    4
    """
    return len(labels) + sum(first == second for first, second in pairwise(labels))


def consistency_loss(log_probs: Tensor, frames: Tensor, label_lengths: Tensor) -> Tensor:
    """Return the divergence of each view's distributions from the other view's, in nats a label.

    The gradient flows through the first distribution of each pair only; the other one is a constant target.

    >>> log_probs = torch.tensor([[[0.5, 0.5]], [[0.5, 0.5]]]).log()
    >>> consistency_loss(log_probs, torch.tensor([1, 1]), torch.tensor([1, 1])).item()
    0.0

    Args:
        log_probs: (2 * batch, frames, symbols), one view after the other.
        frames: (2 * batch,) valid frames.
        label_lengths: (2 * batch,).

    Source:
        Yao et al. 2025, "CR-CTC: consistency regularization on CTC", equation 3.
    """
    first, second = log_probs.detach().chunk(2)
    targets = torch.cat([second, first])
    divergence = (targets.exp() * (targets - log_probs)).sum(2)  # (2 * batch, frames)
    divergence = (divergence * frame_mask(frames, divergence.shape[1])).sum(1)
    return (divergence / label_lengths.clamp_min(1)).mean()
