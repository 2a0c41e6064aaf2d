"""Masks of frames by construction."""

from __future__ import annotations

import torch

from speechrnn.audio.frame_mask import frame_mask


def test_frames_within_the_lengths_are_true() -> None:
    mask = frame_mask(torch.tensor([0, 2, 3]), 3)
    assert mask.tolist() == [[False, False, False], [True, True, False], [True, True, True]]
