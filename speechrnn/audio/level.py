"""The level of a sound, followed from frame to frame, so that features of a quiet recording are those of a loud one."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

DECIBEL = math.log(10.0) / 10.0  # nats of power
FALL = 3.0  # dB by which the level falls in a second
RANGE = 30.0  # dB from the training part's level down to the lowest one
HEADROOM = 9.0  # dB from the training part's level up to the highest one


class LevelFollower(nn.Module):
    """Follow the level of log-mel features: that of the loudest frame so far, which falls slowly.

    The level of a frame is the mean over its bands. The followed level rises at once, to `HEADROOM` above the training
    part's level at most, so that speech after a click or a slammed door is not lost; and falls by `FALL`, to `RANGE`
    below it at most, so that silence is not enlarged without bound. It depends on no later frame: a stream has the
    levels of the whole recording.

    >>> follower = LevelFollower(seconds_per_frame=1.0)
    >>> levels = follower(torch.tensor([[[2.0], [0.0]]]))
    >>> [round(level, 2) for level in (levels[0] / DECIBEL).tolist()]
    [8.69, 5.69]

    Attributes:
        usual: () level of the training part, natural logarithm of power.
    """

    usual: Tensor

    def __init__(self, seconds_per_frame: float) -> None:
        super().__init__()
        self.fall = FALL * DECIBEL * seconds_per_frame  # a frame
        self.register_buffer("usual", torch.zeros(()))

    @property
    def lowest(self) -> Tensor:
        """Return the lowest level, ()."""
        return self.usual - RANGE * DECIBEL

    @property
    def highest(self) -> Tensor:
        """Return the highest level, ()."""
        return self.usual + HEADROOM * DECIBEL

    def start(self, batch: int) -> Tensor:
        """Return the levels before the first frame: (batch,)."""
        return self.lowest.repeat(batch)

    def forward(self, features: Tensor, before: Tensor | None = None) -> Tensor:
        """Return the level at each frame.

        Args:
            features: (batch, frames, bins) log-mel, natural logarithms of power.
            before: (batch,) level at the frame before the first one; None: `start`.

        Returns:
            (batch, frames) natural logarithms of power.
        """
        batch, frames, _ = features.shape
        before = self.start(batch) if before is None else before
        fallen = self.fall * torch.arange(1, frames + 1, device=features.device)
        levels = features.mean(2).clamp(self.lowest, self.highest)
        loudest = (levels + fallen).cummax(1).values
        return loudest.maximum(before[:, None]) - fallen

    def fit(self, usual: Tensor) -> None:
        """Store the level of the training part, (): the mean of the levels of its utterances' loudest frames."""
        self.usual.copy_(usual)
