from __future__ import annotations

import pytest
import torch
from helpers.training_task import Number
from hypothesis import given
from hypothesis import strategies as st
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
    assert not average.end_epoch([5.0, 4.0, 4.5, 4.6], 1)  # worse than the 4.0, but that is among the last two
    assert average.end_epoch([5.0, 4.0, 4.5, 4.6, 4.7], 1)
    for step, value in enumerate([1.0, 2.0, 6.0], start=2):
        average.update(number(value), step)
    assert average.model.weight.item() == pytest.approx(3.0)
    assert not average.end_epoch([5.0, 4.0, 4.5, 4.6, 4.7, 9.0], 4)  # it begins once
    assert average.since == 1


@given(
    st.integers(1, 6),
    st.lists(st.floats(1, 9).map(lambda value: round(value, 1)), max_size=30),
)
def test_averaging_begins_where_the_papers_algorithm_says(interval: int, criteria: list[float]) -> None:
    """Algorithm 1 of Merity et al. 2018, written as it is printed there: t > n and v > min of logs[0..t-n-1]."""
    logs: list[float] = []
    expected = None
    for epoch, value in enumerate(criteria):
        t = len(logs)
        if expected is None and t > interval and value > min(logs[l] for l in range(t - interval)):  # noqa: E741
            expected = epoch
        logs.append(value)
    average = TriggeredAverage(number(0.0), interval)
    begins = [epoch for epoch in range(len(criteria)) if average.end_epoch(criteria[: epoch + 1], epoch)]
    assert begins == ([] if expected is None else [expected])


def test_training_does_not_reach_the_average() -> None:
    average = Average(number(1.0), 0.5)
    assert not any(parameter.requires_grad for parameter in average.model.parameters())
    assert not average.model.training
    assert torch.equal(average.model.weight, torch.ones(1, 1))


def test_average_by_construction() -> None:
    model = Number()
    average = Average(model, decay=0.5)
    for step, value in ((1, 1.0), (100, 3.0)):
        with torch.no_grad():
            model.value.fill_(value)
        average.update(model, step)
    early = (1 + 1) / (10 + 1)
    assert average.model.value.item() == pytest.approx(0.5 * (1 - early) + 0.5 * 3.0)
