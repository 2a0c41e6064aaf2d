"""The schedule of a training: when its plan is made, and what it does with other options than those of the plan."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from speechrnn.training.fabric import TrainerOptions
from speechrnn.training.schedule import Schedule
from speechrnn.training.task import State

FABRIC: Any = SimpleNamespace(device=torch.device("cpu"), world_size=1)


def started(state: State, **options: Any) -> Schedule:
    schedule = Schedule(FABRIC, TrainerOptions(**options), state)
    schedule.start(4, 4, lambda: 2.0)
    return schedule


def test_the_same_options_keep_the_plan(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    state = State()
    plan = started(state, epochs=3).plan
    state.epoch = 2
    assert started(state, epochs=3).plan == plan
    assert caplog.text == ""


def test_other_epochs_change_the_plan_and_say_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    state = State()
    started(state, epochs=3)
    state.epoch, state.batch, state.stale = 1, 2, 5
    schedule = started(state, epochs=6)
    assert schedule.epochs == 6.0 and schedule.progress(4) == 0.25
    assert state.stale == 0
    assert "planned for 3 epochs and ends after 6 now; from 1.5 epochs on" in caplog.text


@pytest.mark.parametrize("options", [{"epochs": 2}, {"minutes": 0.1}])
def test_an_end_that_is_past_is_called_an_end(caplog: pytest.LogCaptureFixture, options: dict[str, Any]) -> None:
    """No rate follows a plan of fewer epochs than are done."""
    caplog.set_level("INFO")
    state = State()
    started(state, epochs=8)
    state.epoch, state.step, state.seconds["step"] = 3, 12, 60.0
    schedule = started(state, **options)
    assert schedule.has_ended(4)
    assert "planned for 8 epochs, has done 3, and ends here" in caplog.text
    assert "".join(f"trainer.{key}={value}" for key, value in options.items()) in caplog.text
    assert "learning rate" not in caplog.text


def test_the_warmup_of_a_wall_time_has_at_most_so_many_steps() -> None:
    """Ten steps a second for ten hours: 360,000 steps, of which a tenth would be 36,000."""
    for capped, most in ((True, 2000), (False, 36000)):
        state = State()
        schedule = Schedule(FABRIC, TrainerOptions(minutes=600.0), state, capped=capped)
        schedule.start(1000, 1000, lambda: 0.0)
        assert schedule.warmup == 0.1  # nothing is measured
        state.batch, state.step, state.seconds["step"] = 600, 600, 60.0
        before = schedule.warmup
        assert schedule.plan_minutes(1000, 0.0).epochs == pytest.approx(360.0)
        assert schedule.warmup == before == pytest.approx(most / 360_000)


def test_a_wall_time_is_planned_when_it_is_measured() -> None:
    state = State()
    schedule = started(state, minutes=10.0)
    assert schedule.epochs is None and not schedule.has_ended(4)
    state.batch, state.step, state.seconds["step"] = 3, 3, 30.0
    assert not schedule.is_measured()
    assert schedule.progress(4) == pytest.approx(0.05)
    state.step, state.seconds["step"] = 6, 60.0
    assert schedule.is_measured()
    plan = schedule.plan_minutes(4, 2.0)
    assert not schedule.is_measured()
    assert plan.epochs == pytest.approx(13.55)  # of 540 s: 12, then 12 epochs of 42, then 22 and 2
    assert plan.progress(0.75) == pytest.approx(0.1)


def test_a_plan_for_epochs_is_followed_until_a_wall_time_is_measured() -> None:
    state = State()
    started(state, epochs=4)
    state.epoch, state.step, state.seconds["step"] = 2, 1, 3.0
    schedule = started(state, minutes=10.0)
    assert schedule.progress(4) == 0.5 and not schedule.has_ended(4)
    state.epoch = 4
    assert not schedule.has_ended(4)
