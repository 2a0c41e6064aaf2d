"""The progress of a training: what its lines say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from speechrnn.training.progress import Progress
from speechrnn.training.task import State


def test_a_line_for_each_epoch_with_the_time_left(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    task: Any = SimpleNamespace(unit="tokens", criterion="dev_wer", format_loss=lambda loss: f"loss {loss}")
    now = iter([0.0, 3480.0])  # the beginning, and after two epochs
    monkeypatch.setattr("speechrnn.training.progress.time", SimpleNamespace(monotonic=lambda: next(now)))
    state = State()
    progress = Progress(8, state, task, visible=True)
    state.epoch, state.amount, state.seconds = 2, 5000.0, {"data": 1.0, "step": 4.0}
    state.history.append({"epoch": 2, "step": 9, "dev_wer": 0.25})
    progress.epoch(state, better=True)
    assert "epoch 2/8  dev_wer 0.2500  1,000 tokens/s  2 h 54 min left  (best)" in caplog.text
