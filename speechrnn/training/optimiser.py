"""Optimisers and the learning rate schedule."""

from __future__ import annotations

import math

import torch
from torch import nn


def make_optimiser(
    model: nn.Module,
    kind: str,
    learning_rate: float,
    betas: tuple[float, float],
    weight_decay: float,
    scaled: bool = False,
) -> torch.optim.Optimizer:
    """Build an optimiser: AdamW or plain SGD.

    >>> make_optimiser(nn.Linear(2, 3), "adamw", 1e-3, betas=(0.9, 0.98), weight_decay=0.01).defaults["lr"]
    0.001

    Args:
        model: the parameters that have gradients.
        kind: "adamw" (Loshchilov & Hutter 2019), whose weight decay acts on matrices only, not on biases and norms; or
            "nt_asgd", SGD whose weight decay acts on all parameters; `average.TriggeredAverage` does its averaging.
        learning_rate: the first learning rate.
        betas: AdamW's decay of the means of gradients and of their squares. A first beta of 0 has no momentum, as in
            Melis et al. 2018; the gradients of rare words, which come once in many steps, need a second beta near 1.
        weight_decay: coefficient of the weight decay.
        scaled: whether a loss scaler is used (16 bits on a GPU).
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # A fused step goes through memory once: a fifth of the time with a large vocabulary; and it can be skipped on the
    # device (`pending.skip_where`). With a loss scaler it would use the gradients before they are clipped.
    fused = not scaled and all(parameter.device.type in ("cpu", "cuda") for parameter in parameters)
    if kind == "nt_asgd":
        return torch.optim.SGD(parameters, lr=learning_rate, weight_decay=weight_decay, fused=fused)
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=betas, fused=fused)


def rate_at(progress: float, warmup: float, final: float = 0.001) -> float:
    """Return the factor of the peak learning rate: a linear warm-up, then a cosine decay (Smith & Topin 2019).

    It depends on the progress alone, so a resumed training has no schedule to restore.

    >>> rate_at(0.05, warmup=0.1), round(rate_at(1.0, warmup=0.1), 4)
    (0.5, 0.001)

    Args:
        progress: share of the training that is done, 0 to 1.
        warmup: share of the training in which the rate rises.
        final: factor at the end.
    """
    if progress < warmup:
        return max(progress / warmup, final)
    falling = (progress - warmup) / max(1.0 - warmup, 1e-9)
    return final + (1.0 - final) * 0.5 * (1.0 + math.cos(math.pi * min(falling, 1.0)))
