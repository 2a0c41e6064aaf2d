"""The plan of a training: the share of the schedule at each position, changes of the end, and wall times."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.training.plan import Plan, epochs_within, is_long_enough, planned_epochs
from speechrnn.training.task import State

epochs = st.floats(0.5, 100.0)


@given(epochs, st.floats(0.0, 1.0), epochs, st.floats(0.0, 1.0))
def test_the_schedule_never_goes_back_between_changes_and_ends_at_the_end(
    first: float, at: float, second: float, later: float
) -> None:
    plan = Plan(first, 0.1)
    changed = plan.change(at * first, second, 0.1)
    assert changed.progress(changed.epochs) == 1.0
    if second > at * first:
        positions = [at * first + share * (second - at * first) for share in (0.0, later / 2, later)]
        shares = [changed.progress(position) for position in positions]
        assert shares == sorted(shares)
        assert all(0.0 <= share <= 1.0 for share in shares)


def test_of_an_earlier_end_the_schedule_goes_on_from_where_it_stands() -> None:
    plan = Plan(8.0, 0.1)
    changed = plan.change(2.0, 5.0, 0.1)
    assert changed.progress(2.0) == plan.progress(2.0)
    assert changed.progress(3.5) == pytest.approx(0.25 + 0.75 / 2)


def test_of_a_later_end_the_schedule_is_that_of_a_training_so_long() -> None:
    changed = Plan(4.0, 0.1).change(4.0, 16.0, 0.1)
    assert [changed.progress(position) for position in (4.0, 8.0, 16.0)] == [0.25, 0.5, 1.0]


def test_an_end_that_is_past_ends_the_training_now() -> None:
    changed = Plan(8.0, 0.1).change(3.5, 2.0, 0.1)
    assert changed.progress(3.5) == 1.0


def test_a_plan_is_kept_in_the_state() -> None:
    state = State()
    assert Plan.of(state) is None
    plan = Plan(7.5, 0.1, minutes=60.0, start=0.25, done=0.02)
    plan.store(state)
    assert Plan.of(state) == plan


def test_more_epochs_where_they_have_too_few_steps() -> None:
    assert planned_epochs(3, min_steps=0, batches=4) == 3.0
    assert planned_epochs(1, min_steps=9, batches=4) == 3.0


def test_a_training_is_measured_for_a_minute_or_a_tenth_of_the_time() -> None:
    assert not is_long_enough(59.0, 100, minutes=60.0)
    assert is_long_enough(60.0, 100, minutes=60.0)
    assert is_long_enough(6.0, 100, minutes=1.0)
    assert not is_long_enough(70.0, 1, minutes=60.0)


@given(st.floats(0.0, 1e4), st.floats(0.0, 50.0), st.floats(0.1, 1e3), st.floats(0.0, 1e3))
def test_epochs_and_their_evaluations_take_the_time_that_is_left(
    seconds: float, position: float, epoch: float, evaluation: float
) -> None:
    end = epochs_within(seconds, position, epoch, evaluation_seconds=evaluation)
    assert end >= position
    taken = (end - position) * epoch + (math.ceil(end) - math.floor(position)) * evaluation
    if end > position:
        assert taken <= seconds * (1 + 1e-6) + 1e-6 * epoch or end == math.floor(end)
    assert taken >= seconds - 2 * evaluation - 1e-6 * (epoch + seconds)
