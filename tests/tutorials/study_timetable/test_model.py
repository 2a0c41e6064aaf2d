"""Test the claim of the timetable: predictions that are fed back bridge missed days; facts alone do not."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.tutorials.setting import repeatable
from speechrnn.tutorials.study_timetable.model import (
    Days,
    Planner,
    TimetableOptions,
    TrainedNetwork,
    draw_days,
    example_days,
    holiday,
    train_and_test,
)


def learnt(feedback: bool, seed: int = 1) -> TrainedNetwork:
    with repeatable(seed):
        return train_and_test(
            feedback, TimetableOptions(0.3, 0.05, 21, rows=32, steps=300, learning_rate=0.3, holiday=20, seed=seed)
        )


@pytest.fixture(scope="module")
def with_feedback() -> TrainedNetwork:
    return learnt(True)


@pytest.fixture(scope="module")
def facts_alone() -> TrainedNetwork:
    return learnt(False)


def test_only_feedback_gets_over_missed_days(with_feedback: TrainedNetwork, facts_alone: TrainedNetwork) -> None:
    assert min(with_feedback.accuracy) > 0.99
    assert facts_alone.accuracy[0] > 0.99
    assert facts_alone.accuracy[1:] == pytest.approx([1 / 3] * 4, abs=0.12)


def test_a_holiday_is_bridged(with_feedback: TrainedNetwork, facts_alone: TrainedNetwork) -> None:
    assert len(with_feedback.holiday) == 21
    assert with_feedback.holiday == [1.0] * 21
    assert facts_alone.holiday == pytest.approx([1.0] + [1 / 3] * 20)


def test_what_was_really_studied_outvotes_what_was_predicted(with_feedback: TrainedNetwork) -> None:
    facts, predicted = torch.eye(3).repeat_interleave(3, 0), torch.eye(3).repeat(3, 1)
    votes = with_feedback.model.vote(torch.cat([facts, predicted], 1))
    assert votes.argmax(1).tolist() == [1, 1, 1, 2, 2, 2, 0, 0, 0]


def test_without_feedback_nothing_but_today_counts() -> None:
    model = Planner(feedback=False)
    days, other = draw_days(9, 4, 0.5, changes=0.0), draw_days(9, 4, 0.5, changes=0.0)
    inputs = other.inputs()
    inputs[-1] = days.inputs()[-1]
    assert torch.equal(model(days.inputs())[-1], model(inputs)[-1])


def test_the_page_shows_every_kind_of_day() -> None:
    days = example_days()
    missed = days.missed_before()[:, 0]
    assert missed.max() == 5 and (missed == 1).sum() == 3  # a week away, and three times a first missed day
    assert (days.subjects[1:, 0] != days.next()[:-1, 0]).nonzero().flatten().tolist() == [11]  # the change


@settings(max_examples=40)
@given(st.integers(2, 40), st.integers(1, 6), st.floats(0, 0.9), st.integers(0, 1000))
def test_days_keep_to_the_timetable(days: int, students: int, missed: float, seed: int) -> None:
    torch.manual_seed(seed)
    drawn = draw_days(days, students, missed, changes=0.0)
    assert drawn.seen[0].all()
    assert torch.equal(drawn.subjects[1:], drawn.next()[:-1])
    assert torch.equal(drawn.inputs().sum(2), drawn.seen.float())
    assert torch.equal(drawn.missed_before() == 0, drawn.seen)
    changing = draw_days(days, students, missed, changes=0.3)
    jumps = changing.subjects[1:] != changing.next()[:-1]
    assert (changing.seen[1:] | ~jumps).all()  # a change is always seen


def test_missed_days_are_counted() -> None:
    seen = torch.tensor([True, False, False, True, False])[:, None]
    assert Days(torch.zeros(5, 1, dtype=torch.long), seen).missed_before()[:, 0].tolist() == [0, 1, 2, 0, 1]
    assert holiday(6).missed_before()[-1].tolist() == [6, 6, 6]
