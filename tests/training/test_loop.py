"""The training loop on a task of one number, where every outcome can be worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.training_task import PLAIN, Number, Target, Task, make_loop
from torch import Tensor, nn

from speechrnn.core.errors import UserError
from speechrnn.training.fabric import TrainerOptions, precision
from speechrnn.training.loop import Loop
from speechrnn.training.pending import Outcome, PendingStep, read_outcomes


def test_best_epoch_is_kept_or_the_last(tmp_path: Path) -> None:
    averages = {}
    for keep in ("best", "last"):
        loop = make_loop(Task(figures=[0.5, 0.2, 0.9]), tmp_path / keep, replace(PLAIN, keep=keep))
        averages[keep] = loop.run().value.item()
        assert (loop.state.best, loop.state.best_epoch) == (0.2, 2)
    saved = torch.load(tmp_path / "best" / "checkpoints" / "best.ckpt", weights_only=True)
    assert averages["best"] == saved["average"]["value"].item()
    assert averages["last"] != averages["best"]


def test_of_equal_epochs_the_last_is_saved_but_the_training_stops(tmp_path: Path) -> None:
    loop = make_loop(Task(figures=[0.5, 0.0, 0.0, 0.0]), tmp_path, replace(PLAIN, epochs=9, patience=2))
    loop.run()
    assert (loop.state.epoch, loop.state.best_epoch) == (4, 4)


def test_early_stop(tmp_path: Path) -> None:
    task = Task(figures=[0.5, 0.6, 0.7, 0.1])
    loop = make_loop(task, tmp_path, replace(PLAIN, epochs=4, patience=2))
    loop.run()
    assert loop.state.epoch == 3


def test_a_patience_by_the_planned_epochs_says_why_the_training_ends(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    options = replace(PLAIN, epochs=300, patience="auto")
    loop = make_loop(Task(figures=[0.5, 0.2, *[0.3] * 40]), tmp_path, options)
    loop.run()
    assert (loop.state.epoch, loop.state.best_epoch) == (32, 2)
    assert "ends after 32 of 300 epochs" in caplog.text and "than epoch 2 (trainer.patience=auto)" in caplog.text
    again = make_loop(Task(figures=[0.5, 0.2, *[0.3] * 40]), tmp_path, replace(options, patience=33))
    again.run()
    assert again.state.epoch == 35  # another patience goes on from the same checkpoint


def test_more_epochs_where_they_have_too_few_steps(tmp_path: Path) -> None:
    loop = make_loop(Task(), tmp_path, replace(PLAIN, epochs=1, min_steps=9))
    loop.run()
    assert (loop.state.epoch, loop.state.step) == (3, 12)


def test_a_loss_that_is_no_number_is_left_out_and_its_batch_saved(tmp_path: Path) -> None:
    loop = make_loop(Task(broken=((1, 2),)), tmp_path)
    model = loop.run()
    assert torch.isfinite(model.value).all()
    assert loop.state.step == 11
    (saved,) = (tmp_path / "checkpoints" / "nonfinite").iterdir()
    assert math.isnan(torch.load(saved, weights_only=True)["value"])


def test_a_gradient_that_is_no_number_is_left_out_too(tmp_path: Path) -> None:
    class Steep(Task):
        def loss(self, model: nn.Module, batch: Target) -> Tensor:
            loss = super().loss(model, batch)
            return loss + 0 * (model().sqrt() if batch.value == 2.0 else model()).sum().nan_to_num()

    task = Steep()
    task.model.value.data.fill_(-1.0)  # whose square root is none, and whose gradient is not finite
    loop = make_loop(task, tmp_path, replace(PLAIN, epochs=1, learning_rate=1e-6))
    assert torch.isfinite(loop.run().value).all()
    assert loop.state.step == 3
    assert len(list((tmp_path / "checkpoints" / "nonfinite").iterdir())) == 1


def test_too_many_of_them_stop_the_training(tmp_path: Path) -> None:
    broken = tuple((1, batch) for batch in range(4))
    with pytest.raises(UserError, match=r"not finite 3 times in a row.*nonfinite.*trainer\.learning_rate"):
        make_loop(Task(broken=broken), tmp_path, replace(PLAIN, nonfinite_patience=3)).run()


def queued(task: Any, folder: Path, options: TrainerOptions = PLAIN) -> Loop[Any, Any]:
    """A loop that queues its steps, as it does on a GPU."""
    loop = make_loop(task, folder, options)
    loop.waits = False
    return loop


@pytest.mark.parametrize("optimiser", ["adamw", "nt_asgd"])
@pytest.mark.parametrize("broken", [(), ((1, 2),), ((0, 0), (0, 1), (2, 3))])
def test_steps_that_are_queued_end_with_the_same_bits(
    tmp_path: Path, broken: tuple[tuple[int, int], ...], optimiser: Any
) -> None:
    """Losses are read from the device once in many steps; what is not finite is skipped there, and its batch saved."""
    options = replace(PLAIN, epochs=12, optimiser=optimiser, learning_rate=0.01)
    single, many = (
        make_loop(Task(broken=broken), tmp_path / "one", options),
        queued(Task(broken=broken), tmp_path / "many", options),
    )
    single.run()
    many.run()
    assert torch.equal(many.task.model.value, single.task.model.value)
    assert (many.state.step, many.state.history) == (single.state.step, single.state.history)
    names = [
        sorted(path.name for path in (tmp_path / name / "checkpoints").glob("nonfinite/*")) for name in ("one", "many")
    ]
    assert names[0] == names[1] and len(names[0]) == len(broken)
    if not broken:
        assert torch.equal(many.average.model.value, single.average.model.value)


def test_too_many_queued_steps_that_are_not_finite_stop_the_training(tmp_path: Path) -> None:
    loop = queued(Task(broken=tuple((1, batch) for batch in range(4))), tmp_path, replace(PLAIN, nonfinite_patience=3))
    with pytest.raises(UserError, match=r"not finite 3 times in a row.*trainer\.learning_rate"):
        loop.run()


def test_a_queued_training_reads_nothing_within_its_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four steps an epoch, with a checkpoint at its end, losses are read once an epoch."""
    reads: list[int] = []

    def read_and_note(steps: list[PendingStep[Target]]) -> list[Outcome[Target]]:
        reads.append(len(steps))
        return read_outcomes(steps)

    monkeypatch.setattr("speechrnn.training.loop.read_outcomes", read_and_note)
    loop = queued(Task(), tmp_path, replace(PLAIN, checkpoint_steps=1000))

    def refuse(self: Tensor) -> float:
        raise AssertionError("a number was read from the device")

    step = loop.step

    def step_without_item(batch: Target, done: float) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Tensor, "item", refuse)
            step(batch, done)

    loop.step = step_without_item  # type: ignore[method-assign]
    loop.run()
    assert [number for number in reads if number] == [4, 4, 4]


def test_memory_runs_out_at_the_start_with_a_sentence(tmp_path: Path) -> None:
    class Huge(Task):
        def loss(self, model: nn.Module, batch: Target) -> Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory")

    task = Huge()
    with pytest.raises(UserError, match=r"largest batch does not fit.*trainer\.batch_seconds \(now 45\)"):
        make_loop(task, tmp_path).run()
    assert task.seen == []


def test_an_error_in_the_largest_batch_that_is_not_about_memory_is_not_hidden(tmp_path: Path) -> None:
    class Buggy(Task):
        def loss(self, model: nn.Module, batch: Target) -> Tensor:
            raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        make_loop(Buggy(), tmp_path).run()


def test_trying_the_largest_batch_changes_nothing(tmp_path: Path) -> None:
    loop = make_loop(Task(), tmp_path)
    loop.try_largest_batch()
    assert loop.task.model.value.item() == 0.0
    assert loop.task.model.value.grad is None


def test_a_batch_counts_by_its_weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A weight of 0 takes no step away from the start; the mean training loss is weighted, too."""

    class Weighted(Task):
        def weight(self, batch: Target) -> float:
            return 1.0 if batch.value == 2.0 else 0.0

    options = replace(PLAIN, epochs=1, optimiser="nt_asgd", weight_decay=0.0, gradient_clip=0.0)
    loop = make_loop(Weighted(), tmp_path, options)
    steps = []
    backward = loop.fabric.backward

    def watch(loss: Tensor) -> None:
        backward(loss)
        steps.append(float(loop.task.model.value.grad))

    monkeypatch.setattr(loop.fabric, "backward", watch)
    loop.run()
    assert [step != 0.0 for step in steps[1:]] == [False, True, False, False]  # the first is the largest batch
    assert loop.state.history[0]["train_loss"] == pytest.approx(4.0, rel=0.05)


def test_precision_on_a_cpu() -> None:
    assert precision(PLAIN) == "32-true"
    assert precision(replace(PLAIN, precision="bf16")) == "bf16-mixed"


def test_the_seed_reaches_the_random_numbers_of_each_step(tmp_path: Path) -> None:
    values = [
        make_loop(Task(), tmp_path / str(seed), replace(PLAIN, seed=seed)).run().value.detach() for seed in (0, 1, 2)
    ]
    assert len({float(value) for value in values}) == 3


@pytest.mark.parametrize(("keep", "published"), [("best", [1, 2]), ("last", [1, 2, 3])])
def test_each_epoch_whose_model_would_be_kept_is_published(tmp_path: Path, keep: Any, published: list[int]) -> None:
    loop = make_loop(Task(figures=[0.5, 0.2, 0.9]), tmp_path, replace(PLAIN, keep=keep))
    epochs, values = [], []

    def publish(model: Number) -> None:
        epochs.append(loop.state.epoch)
        values.append(model.value.item())

    loop.publish = publish
    assert loop.run().value.item() == values[-1]
    assert epochs == published
