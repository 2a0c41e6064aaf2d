"""Optimisers and the learning rate."""

from __future__ import annotations

import math

import torch
from torch import nn


def make_optimiser(
    model: nn.Module, kind: str, learning_rate: float, betas: tuple[float, float], weight_decay: float
) -> torch.optim.Optimizer:
    """What takes the steps: AdamW or plain SGD.

    Args:
        kind: "adamw" (Loshchilov & Hutter 2019), which decays matrices only, since biases and norms have no reason to
            be small; or "nt_asgd", SGD that decays everything, whose averaging is not its own affair (average.py).
        betas: AdamW's: how much of its means of the gradients and of their squares a step keeps. A first one of 0 takes
            each gradient as it comes, as Melis et al. 2018 do for language models; rare words' squares, which come once
            in many steps, need a second one near 1.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # In one pass over memory a step of a large vocabulary takes a fifth of the time; on a GPU the fused step would take
    # the gradients before they are clipped, in 16 bits.
    fused = all(parameter.device.type == "cpu" for parameter in parameters)
    if kind == "nt_asgd":
        return torch.optim.SGD(parameters, lr=learning_rate, weight_decay=weight_decay, fused=fused)
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=betas, fused=fused)


def rate_at(progress: float, warmup: float, final: float = 0.001) -> float:
    """Factor of the peak rate: a straight line up, then a cosine down (one cycle; Smith & Topin 2019).

    Args:
        progress: share of the training that is done, 0 to 1.
        warmup: share of the training in which the rate rises.
        final: factor at the end.

    A function of progress alone, so a resumed training has no schedule to restore.
    """
    if progress < warmup:
        return max(progress / warmup, final)
    falling = (progress - warmup) / max(1.0 - warmup, 1e-9)
    return final + (1.0 - final) * 0.5 * (1.0 + math.cos(math.pi * min(falling, 1.0)))
