"""Resumption of a training: the same bits after a kill, and other epochs or minutes than were planned."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.training_task import PLAIN, KilledError, Number, Target, Task, kill_at, make_loop
from torch import Tensor, nn


@pytest.mark.parametrize("killed_at", [1, 2, 4, 5, 11])
def test_a_resumed_training_ends_where_an_uninterrupted_one_does(tmp_path: Path, killed_at: int) -> None:
    whole = Task()
    expected = make_loop(whole, tmp_path / "whole").run().value

    task = Task()
    loop = make_loop(task, tmp_path / "killed")
    step = loop.step

    def step_or_die(batch: Target, done: float) -> None:
        if loop.state.step == killed_at:
            raise KilledError
        step(batch, done)

    loop.step = step_or_die  # type: ignore[method-assign]
    with pytest.raises(KilledError):
        loop.run()
    again = Task()
    torch.manual_seed(1234)  # whatever came before the restart
    resumed = make_loop(again, tmp_path / "killed")
    assert torch.equal(resumed.run().value, expected)
    assert task.seen[:killed_at] + again.seen == whole.seen
    assert resumed.state.step == 12
    assert len(resumed.state.history) == 3


def test_the_same_command_again_does_nothing_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    make_loop(Task(), tmp_path).run()
    caplog.clear()
    again = Task()
    make_loop(again, tmp_path).run()
    assert again.seen == []
    assert "Going on" not in caplog.text
    assert "finished before, after 3 epochs" in caplog.text


def test_a_training_that_is_not_finished_says_where_it_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    make_loop(Task(), tmp_path).run()
    make_loop(Task(), tmp_path, replace(PLAIN, epochs=4)).run()
    assert "Going on from epoch 4, step 12" in caplog.text


@pytest.mark.parametrize("epochs", [2, 4])
@pytest.mark.parametrize("killed_at", [6, 7])
def test_changed_epochs_end_with_the_same_bits_wherever_the_training_is_killed(
    tmp_path: Path, epochs: int, killed_at: int
) -> None:
    """Planned for 3 epochs, changed after 5 steps; killed once more after that."""
    changed = replace(PLAIN, epochs=epochs)
    values = []
    for name in ("whole", "killed"):
        kill_at(make_loop(Task(), tmp_path / name), 5)
        if name == "killed":
            kill_at(make_loop(Task(), tmp_path / name, changed), killed_at)
        torch.manual_seed(1234)
        loop = make_loop(Task(), tmp_path / name, changed)
        values.append(loop.run().value.item())
        assert (loop.state.step, len(loop.state.history)) == (4 * epochs, epochs)
    assert values[0] == values[1]


@pytest.mark.parametrize(
    ("first", "second", "rates"),
    [
        # Half of 4 epochs were done; the rest of the schedule takes one epoch, or 6.
        (4, 3, [0.5, 0.625, 0.75, 0.875]),
        (4, 8, [0.25 + number / 32 for number in range(24)]),
    ],
)
def test_changed_epochs_change_the_schedule_from_where_it_stands(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, first: int, second: int, rates: list[float]
) -> None:
    caplog.set_level("INFO")
    kill_at(make_loop(Task(), tmp_path, replace(PLAIN, epochs=first)), 8)
    loop = make_loop(Task(), tmp_path, replace(PLAIN, epochs=second))
    take, shares = loop.step, []

    def watch(batch: Target, done: float) -> None:
        shares.append(done)
        take(batch, done)

    loop.step = watch  # type: ignore[method-assign]
    loop.run()
    assert shares == pytest.approx(rates)
    assert f"planned for {first} epochs and ends after {second} now; from 2 epochs on" in caplog.text


def test_a_finished_training_goes_on_when_epochs_are_raised(tmp_path: Path) -> None:
    make_loop(Task(figures=[0.5, 0.6, 0.7]), tmp_path, replace(PLAIN, patience=2)).run()
    loop = make_loop(Task(figures=[0.5, 0.6, 0.7, 0.2, 0.3]), tmp_path, replace(PLAIN, epochs=5, patience=2))
    loop.run()
    assert (loop.state.epoch, loop.state.best_epoch) == (5, 4)


def test_an_end_that_is_past_evaluates_what_there_is(tmp_path: Path) -> None:
    kill_at(make_loop(Task(), tmp_path), 6)
    task = Task(figures=[0.5, 0.4])
    loop = make_loop(task, tmp_path, replace(PLAIN, epochs=1))
    loop.run()
    assert task.seen == [] and loop.state.step == 6
    assert len(loop.state.history) == 2 and loop.is_finished()


def test_a_checkpoint_without_a_plan_follows_the_options(tmp_path: Path) -> None:
    """Checkpoints of older versions have none."""
    expected = make_loop(Task(), tmp_path / "whole").run().value
    kill_at(make_loop(Task(), tmp_path / "old"), 5)
    path = tmp_path / "old" / "checkpoints" / "last.ckpt"
    saved = torch.load(path, weights_only=True)
    del saved["state"]["plan"]
    torch.save(saved, path)
    assert torch.equal(make_loop(Task(), tmp_path / "old").run().value, expected)


class Clock:
    """A clock on which each step takes a second and each evaluation two, whatever the machine does."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@dataclass
class Timed(Task):
    clock: Clock = field(default_factory=Clock)

    def loss(self, model: nn.Module, batch: Target) -> Tensor:
        self.clock.now += 1.0
        return super().loss(model, batch)

    def evaluate(self, model: Number) -> dict[str, float]:
        self.clock.now += 2.0
        return super().evaluate(model)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("speechrnn.training.loop.time", clock)
    return clock


MINUTE = replace(PLAIN, minutes=1.0, epochs=1000, checkpoint_steps=5)


def test_minutes_end_a_training_with_its_schedule_in_time(tmp_path: Path, clock: Clock) -> None:
    """Measured for 6 steps, the tenth of a minute, and planned."""
    loop = make_loop(Timed(clock=clock), tmp_path, MINUTE)
    took = []
    step = loop.step

    def watch(batch: Target, done: float) -> None:
        took.append(done)
        step(batch, done)

    loop.step = watch  # type: ignore[method-assign]
    loop.run()
    assert 57.0 <= loop.schedule.elapsed() <= 60.0
    assert took == sorted(took) and took[0] == 0.0 and 0.95 < took[-1] < 1.0
    assert loop.is_finished() and loop.state.step == len(took)
    assert loop.state.plan["minutes"] == 1.0


@pytest.mark.parametrize("killed_at", [7, 8, 17, 30])
def test_a_planned_wall_time_is_resumed_with_the_same_bits(tmp_path: Path, clock: Clock, killed_at: int) -> None:
    """Also where the machine has become slower: the plan counts steps."""
    expected = make_loop(Timed(clock=clock), tmp_path / "whole", MINUTE).run().value
    kill_at(make_loop(Timed(clock=clock), tmp_path / "killed", MINUTE), killed_at)
    clock.now += 1000.0
    torch.manual_seed(1234)
    assert torch.equal(make_loop(Task(), tmp_path / "killed", MINUTE).run().value, expected)


def test_more_minutes_for_a_training_that_has_finished(tmp_path: Path, clock: Clock) -> None:
    loop = make_loop(Timed(clock=clock), tmp_path, MINUTE)
    loop.run()
    longer = make_loop(Timed(clock=clock), tmp_path, replace(MINUTE, minutes=2.0))
    longer.run()
    assert longer.state.step > loop.state.step
    assert 114.0 <= longer.schedule.elapsed() <= 120.0
    back = make_loop(Timed(clock=clock), tmp_path, replace(MINUTE, minutes=None, epochs=2))
    back.run()
    assert back.state.step == longer.state.step and back.is_finished()


def test_fewer_minutes_than_have_passed(tmp_path: Path, clock: Clock) -> None:
    kill_at(make_loop(Timed(clock=clock), tmp_path, MINUTE), 26)
    loop = make_loop(Timed(clock=clock), tmp_path, replace(MINUTE, minutes=0.2))
    loop.run()
    assert loop.is_finished() and loop.state.step == 25  # that of the last checkpoint


@pytest.mark.parametrize("optimiser", ["adamw", "nt_asgd"])
def test_frozen_parameters_stay_as_they_are_for_some_steps(tmp_path: Path, optimiser: Any) -> None:
    """Neither gradient nor weight decay nor momentum changes them; a resumed training knows when they thaw."""
    options = replace(PLAIN, optimiser=optimiser, frozen_layers=1, frozen_steps=5, weight_decay=0.5, keep="last")
    values = []
    for name in ("whole", "killed"):
        task = Task()
        task.model.value.data.fill_(3.0)
        task.frozen = [task.model.value]
        loop = make_loop(task, tmp_path / name, options)
        kill_at(loop, 5)
        assert task.model.value.item() == 3.0 and loop.average.model.value.item() == 3.0
        if name == "killed":
            task = Task()
            task.frozen = [task.model.value]
            kill_at(make_loop(task, tmp_path / name, options), 7)
        task = Task()
        task.frozen = [task.model.value]
        values.append(make_loop(task, tmp_path / name, options).run().value.item())
    assert values[0] == values[1] != 3.0
