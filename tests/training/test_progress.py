"""The progress of a training: what its lines say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from speechrnn.training.progress import Progress
from speechrnn.training.task import State

TASK: Any = SimpleNamespace(unit="tokens", criterion="dev_wer", format_loss=lambda loss: f"loss {loss}")


def test_a_line_for_each_epoch_with_the_time_left(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    now = iter([0.0, 3480.0])  # the beginning, and after two epochs
    monkeypatch.setattr("speechrnn.training.progress.time", SimpleNamespace(monotonic=lambda: next(now)))
    state = State()
    progress = Progress(8, state, TASK, visible=True)
    state.epoch, state.amount, state.seconds = 2, 5000.0, {"data": 1.0, "step": 4.0}
    state.history.append({"epoch": 2, "step": 9, "dev_wer": 0.25})
    progress.epoch(state, better=True)
    assert "epoch 2/8  dev_wer 0.2500  1,000 tokens/s  2 h 54 min left  (best)" in caplog.text


def test_the_time_of_the_training_is_estimated_within_its_first_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 10 epochs of 300 steps: the first step takes 5 s and each other one 2 s; the line comes once."""
    caplog.set_level("INFO")
    now = 0.0
    monkeypatch.setattr("speechrnn.training.progress.time", SimpleNamespace(monotonic=lambda: now))
    state = State()
    progress = Progress(10, state, TASK, visible=True)
    logged: dict[str, float] = {}
    for batch in range(1, 40):
        now += 5.0 if batch == 1 else 2.0
        state.batch = batch
        progress.step(state, 300)
        if caplog.messages and not logged:
            logged = {"seconds": now, "batch": batch}
    assert len(caplog.messages) == 1 and logged["seconds"] < 60
    left = 3000 - logged["batch"]
    assert f"{left:,} steps of 2.0 s" in caplog.text
    assert "1 h 40 min to go" in caplog.text


class Clock:
    """A clock that a test moves, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the progress, whose lines are logged."""
    caplog.set_level("INFO")
    clock = Clock()
    monkeypatch.setattr("speechrnn.training.progress.time", clock)
    return clock


def test_there_is_no_estimate_after_the_line_of_an_epoch(caplog: pytest.LogCaptureFixture, clock: Clock) -> None:
    """The line of an epoch says what is left, evaluations counted."""
    state = State(batch=1)
    progress = Progress(300, state, TASK, visible=True)
    clock.now = 1.0
    progress.step(state, 1)
    state.epoch, state.batch = 1, 0
    state.history.append({"epoch": 1, "step": 1, "dev_wer": 0.25})
    progress.epoch(state, better=True)
    clock.now = 90.0
    progress.step(state, 1)
    assert len(caplog.messages) == 1 and caplog.messages[0].startswith("epoch 1/300")


def test_a_step_of_more_than_a_minute_is_an_estimate_too(caplog: pytest.LogCaptureFixture, clock: Clock) -> None:
    state = State(batch=1)
    progress = Progress(1, state, TASK, visible=True)
    clock.now = 90.0
    progress.step(state, 3)
    assert "About 3 min 00 s to go: 2 steps of 1 min 30 s" in caplog.text
