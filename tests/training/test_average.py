from __future__ import annotations

import pytest
import torch
from torch import nn

from speechrnn.training.average import Average, TriggeredAverage


def number(value: float) -> nn.Linear:
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(value)
    return model


def test_without_decay_the_average_is_the_model() -> None:
    average = Average(number(0.0), 0.0)
    average.update(number(3.0), 1)
    assert average.model.weight.item() == 3.0


def test_the_exponential_average_follows_slowly() -> None:
    average = Average(number(0.0), 0.9)
    average.update(number(1.0), 10_000)
    assert average.model.weight.item() == pytest.approx(0.1)


def test_the_triggered_average_is_the_plain_mean_since_its_trigger() -> None:
    average = TriggeredAverage(number(0.0), nonmonotone=2)
    average.update(number(7.0), 1)
    assert average.model.weight.item() == 7.0  # until then the model itself
    assert not average.end_epoch(
        [5.0, 4.0, 4.5], 1
    )  # worse than the one before, but that is no earlier than the last 2
    assert average.end_epoch([5.0, 4.0, 4.5, 4.6], 1)
    for step, value in enumerate([1.0, 2.0, 6.0], start=2):
        average.update(number(value), step)
    assert average.model.weight.item() == pytest.approx(3.0)
    assert not average.end_epoch([5.0, 4.0, 4.5, 4.6, 9.0], 4)  # it begins once
    assert average.since == 1


def test_training_does_not_reach_the_average() -> None:
    average = Average(number(1.0), 0.5)
    assert not any(parameter.requires_grad for parameter in average.model.parameters())
    assert not average.model.training
    assert torch.equal(average.model.weight, torch.ones(1, 1))
