from __future__ import annotations

import threading
from pathlib import Path

import pytest
from helpers.training_task import Task, make_loop
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from speechrnn.core.errors import UserError
from speechrnn.training.events import EventLogger


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Read all figures as TensorBoard does."""
    events = EventAccumulator(str(folder))
    events.Reload()
    names = events.Tags()["scalars"]
    return {name: [(event.step, event.value) for event in events.Scalars(name)] for name in names}


def test_tensorboard_reads_what_is_written_at_once(tmp_path: Path) -> None:
    log = EventLogger(tmp_path / "events")
    assert not (tmp_path / "events").exists()
    log.log_metrics({"train/loss": 1.5, "train/rate": 0.25}, 20)
    log.log_metrics({"train/loss": float("nan")}, 40)
    log.log_metrics({"train/loss": 0.5}, 60)
    found = curves(tmp_path / "events")
    assert found["train/rate"] == [(20, 0.25)]
    assert [step for step, _ in found["train/loss"]] == [20, 40, 60]
    assert found["train/loss"][0] == (20, 1.5) and found["train/loss"][2] == (60, 0.5)


def test_a_training_writes_its_curves(tmp_path: Path) -> None:
    make_loop(Task(figures=[0.5, 0.25, 0.125]), tmp_path).run()
    assert curves(tmp_path)["epoch/dev_wer"] == [(4, 0.5), (8, 0.25), (12, 0.125)]


def test_a_full_disk_is_one_sentence_in_the_thread_that_logs(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    log = EventLogger(tmp_path)
    log.log_metrics({"loss": 1.0}, 1)
    threads = threading.active_count()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(UserError, match=r"Cannot write .*tfevents.*the same command again"):
            log.log_metrics({"loss": 1.0}, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert threading.active_count() == threads


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "events").touch()
    with pytest.raises(UserError, match=r"Cannot write .*events"):
        EventLogger(tmp_path / "events").log_metrics({"loss": 1.0}, 1)
