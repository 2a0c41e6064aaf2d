"""Statistics of the training part's features, by which a model normalises the features of any recording."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from speechrnn.audio.features import FrontEnd
from speechrnn.data.dataset import Example, Utterances
from speechrnn.training.fabric import sum_over_processes

if TYPE_CHECKING:
    from lightning.fabric import Fabric


def fit_normalisation(
    front_end: FrontEnd, utterances: Utterances, plan: Sequence[Sequence[Example]], fabric: Fabric
) -> None:
    """Set a front end's mean and variance, and its level if it follows one, to those of the training part.

    Args:
        front_end: its normalisation is changed.
        utterances: of the training part, without augmentation; read twice where a level is followed.
        plan: batches of this process.
        fabric: whose processes share the training part.
    """

    def total(*values: Tensor) -> Tensor:
        return sum_over_processes(fabric, torch.stack(values).to(fabric.device)).cpu()

    normalise = front_end.normalise
    if normalise.level is not None:
        loudest = torch.tensor([row.mean(1).max().item() for row in _rows(front_end, utterances, plan)]).double()
        levels, count = total(loudest.sum(), loudest.new_tensor(len(loudest)))
        normalise.level.fit(levels / count)
    summed = torch.zeros(front_end.dimensions, dtype=torch.float64)
    squares, frames = summed.clone(), 0
    for row in _rows(front_end, utterances, plan):
        if normalise.level is not None:
            row = row - normalise.level(row.unsqueeze(0))[0].unsqueeze(1)
        summed += row.double().sum(0)
        squares += row.double().square().sum(0)
        frames += len(row)
    sums = total(summed, squares, torch.full_like(summed, frames))
    normalise.fit(sums[0], sums[1], int(sums[2, 0]))


def _rows(front_end: FrontEnd, utterances: Utterances, plan: Sequence[Sequence[Example]]) -> Iterator[Tensor]:
    """Yield the features of each utterance, (frames, dimensions), before their normalisation."""
    for examples in plan:
        batch = utterances[0, examples]
        features, lengths = front_end.extract(batch.waveforms, batch.lengths)
        for row, length in zip(features, lengths.tolist(), strict=True):
            yield row[:length]
