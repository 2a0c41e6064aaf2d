"""Normalisation of features: mean 0 and variance 1 in each dimension."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from speechrnn.audio.frame_mask import frame_mask
from speechrnn.audio.level import LevelFollower

VARIANCE_FLOOR = 1e-5  # keeps digital silence finite


class Normalise(nn.Module):
    """Bring each dimension to mean 0 and variance 1, over the utterance or with the training set's statistics.

    Attributes:
        level: follows the level that is subtracted first; None: none is.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, kind: Literal["utterance", "training", "level", "none"], dimensions: int, seconds_per_frame: float = 0.01
    ) -> None:
        super().__init__()
        self.kind = kind
        self.level = LevelFollower(seconds_per_frame) if kind == "level" else None
        self.register_buffer("mean", torch.zeros(dimensions))
        self.register_buffer("deviation", torch.ones(dimensions))

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Normalise features (batch, frames, dimensions) with lengths (batch,); zero beyond each length."""
        mask = frame_mask(lengths, features.shape[1]).unsqueeze(2)
        if self.kind in ("training", "level"):
            features, _ = self.standardise(features)
        elif self.kind == "utterance":
            count = lengths.clamp_min(1)[:, None, None]
            mean = (features * mask).sum(1, keepdim=True) / count
            centred = (features - mean) * mask
            variance = centred.square().sum(1, keepdim=True) / count
            features = centred / (variance + VARIANCE_FLOOR).sqrt()
        return features * mask

    def standardise(self, features: Tensor, level: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Apply the training set's statistics to features (batch, frames, dimensions).

        Args:
            features: the features.
            level: (batch,) before the first frame; None: a recording begins, or no level is followed.

        Returns:
            the features, and (batch,) the level at the last frame.
        """
        if self.level is not None and features.shape[1]:
            levels = self.level(features, level)
            features, level = features - levels.unsqueeze(2), levels[:, -1]
        return (features - self.mean) / self.deviation, level

    def fit(self, total: Tensor, total_of_squares: Tensor, frames: int) -> None:
        """Store the training set's statistics, given sums (dimensions,) over all its frames."""
        mean = total / frames
        self.mean.copy_(mean)
        self.deviation.copy_((total_of_squares / frames - mean.square()).clamp_min(VARIANCE_FLOOR).sqrt())
