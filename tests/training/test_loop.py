"""The training loop on a task of one number, where every outcome can be worked out by hand."""

from __future__ import annotations

import math
import os
import pickle
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from speechrnn.core.errors import UserError
from speechrnn.training.average import Average
from speechrnn.training.fabric import TrainerOptions, make_fabric, precision
from speechrnn.training.loop import Loop
from speechrnn.training.optimiser import make_optimiser, rate_at
from speechrnn.training.pending import Outcome, PendingStep, read_outcomes


@dataclass(frozen=True)
class Target:
    """A batch: what the model's number should become."""

    value: float


class Number(nn.Module):
    """A model of one number."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(1))

    def forward(self) -> Tensor:
        return self.value + 0.01 * torch.randn(1)  # noise, as dropout makes it


@dataclass
class Task:
    """Four batches an epoch; `figures` are the dev figures of one epoch after the other."""

    figures: list[float] = field(default_factory=list)
    broken: tuple[tuple[int, int], ...] = ()  # (epoch, batch) whose loss is no number
    model: Number = field(default_factory=Number)
    criterion: str = "dev_wer"
    unit: str = "numbers"
    memory_keys: str = "trainer.batch_seconds (now 45)"
    forward_methods: tuple[str, ...] = ()
    frozen: list[nn.Parameter] = field(default_factory=list)
    carried: Tensor = field(default_factory=lambda: torch.zeros(1))
    seen: list[tuple[int, int]] = field(default_factory=list)
    now: int = 0

    def epoch(self, epoch: int, start: int) -> tuple[int, Iterable[Target]]:
        self.now = epoch
        return 4, (self.note(epoch, batch) for batch in range(start, 4))

    def note(self, epoch: int, batch: int) -> Target:
        self.seen.append((epoch, batch))
        return Target(math.nan if (epoch, batch) in self.broken else 1.0 + batch)

    def largest_batch(self) -> Target:
        return Target(1.0)

    def loss(self, model: nn.Module, batch: Target) -> Tensor:
        return (model() - batch.value).square().sum()

    def weight(self, batch: Target) -> float:
        return 1.0

    def check_loss(self, batch: Target, loss: float) -> None:
        pass

    def amount(self, batch: Target) -> float:
        return 1.0

    def rate_factor(self, batch: Target) -> float:
        return 1.0

    def format_loss(self, loss: float) -> str:
        return f"loss {loss:.3f}"

    def evaluate(self, model: Number) -> dict[str, float]:
        return {"dev_wer": self.figures[self.now]} if self.figures else {}


PLAIN = TrainerOptions(epochs=3, accelerator="cpu", learning_rate=0.1, checkpoint_steps=1)


def make_loop(task: Any, folder: Path, options: TrainerOptions = PLAIN, **fingerprint: object) -> Loop[Any, Any]:
    return Loop(make_fabric(options, folder), task, options, folder / "checkpoints", fingerprint)


class KilledError(Exception):
    """Error that stops a training in these tests."""


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


def test_a_checkpoint_of_another_configuration(tmp_path: Path) -> None:
    make_loop(Task(), tmp_path, layers=3).run()
    with pytest.raises(UserError, match=r"another configuration \(layers was 3, is 4\).*restart=true"):
        make_loop(Task(), tmp_path, layers=4).run()


def test_a_checkpoint_that_does_not_record_its_data(tmp_path: Path) -> None:
    make_loop(Task(), tmp_path, layers=3).run()
    with pytest.raises(UserError, match=r"last\.ckpt .*older version.*training data.*restart=true"):
        make_loop(Task(), tmp_path, PLAIN, **{"layers": 3, "training data": 64 * "0"}).run()


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


def test_a_damaged_checkpoint(tmp_path: Path) -> None:
    make_loop(Task(), tmp_path).run()
    path = tmp_path / "checkpoints" / "last.ckpt"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=r"last\.ckpt is damaged"):
        make_loop(Task(), tmp_path).run()


class Attack:
    """A pickle that makes a folder when it is loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("name", ["last.ckpt", "best.ckpt"])
def test_no_code_in_a_checkpoint_runs(tmp_path: Path, name: str) -> None:
    make_loop(Task(), tmp_path).run()
    attack = Attack(tmp_path / "attacked")
    path = tmp_path / "checkpoints" / name
    for write in (lambda: torch.save({"model": attack}, path), lambda: path.write_bytes(pickle.dumps(attack))):
        write()
        with pytest.raises(UserError, match=rf"{name} is damaged.*restart=true"):
            make_loop(Task(), tmp_path).run()
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, None),
        (None, [1, 2]),
        (None, {}),
        (None, torch.zeros(3)),
        ("model", {"value": torch.zeros(2)}),
        ("model", {"value": torch.tensor([math.nan])}),
        ("model", {"other": torch.zeros(1)}),
        ("model", {"value": 1.0}),
        ("model", [1]),
        ("average", {"value": torch.tensor([math.inf])}),
        ("average", None),
        ("optimiser", {}),
        ("optimiser", {"state": {}, "param_groups": []}),
        ("optimiser", 3),
        ("averaged_since", "soon"),
        ("carried", torch.zeros(0, 1)),
        ("carried", torch.zeros(1, 10**6)),
        ("carried", None),
        ("state", {"epoch": "three"}),
        ("state", {"epoch": -1}),
        ("state", {"history": {}}),
        ("state", {"unheard_of": 1}),
        ("state", {"plan": {"epochs": 1.0}}),
        ("state", {"plan": {"epochs": "many", "warmup": 0.1, "minutes": 0.0, "start": 0.0, "done": 0.0}}),
        ("state", None),
        ("fingerprint", None),
        ("fingerprint", {1: 2}),
    ],
)
def test_a_checkpoint_that_holds_something_else(tmp_path: Path, key: str | None, value: Any) -> None:
    make_loop(Task(), tmp_path).run()
    path = tmp_path / "checkpoints" / "last.ckpt"
    saved = torch.load(path, weights_only=True)
    torch.save(value if key is None else {**saved, key: value}, path)
    with pytest.raises(UserError, match=r"last\.ckpt.*restart=true"):
        make_loop(Task(), tmp_path).run()


def test_a_flipped_bit_in_a_checkpoint_is_a_sentence_or_changes_nothing_that_is_not_finite(tmp_path: Path) -> None:
    make_loop(Task(), tmp_path).run()
    path = tmp_path / "checkpoints" / "last.ckpt"
    before = path.read_bytes()
    random = np.random.default_rng(0)
    for place in random.integers(0, len(before), 150):
        changed = bytearray(before)
        changed[place] ^= 1 << int(random.integers(8))
        path.write_bytes(changed)
        loop = make_loop(Task(), tmp_path)
        try:
            loop.restore(path)
        except UserError as error:
            assert "last.ckpt" in str(error)
        else:
            assert torch.isfinite(loop.task.model.value).all()


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = make_loop(Task(), tmp_path)
    loop.save("last.ckpt")
    before = (tmp_path / "checkpoints" / "last.ckpt").read_bytes()

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(UserError, match="No space left"):
        loop.save("last.ckpt")
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["last.ckpt"]
    assert (tmp_path / "checkpoints" / "last.ckpt").read_bytes() == before


def test_rate_rises_then_falls() -> None:
    assert rate_at(0.05, warmup=0.1) == pytest.approx(0.5)
    assert rate_at(0.1, warmup=0.1) == pytest.approx(1.0)
    assert rate_at(0.55, warmup=0.1) == pytest.approx(0.5005)
    assert rate_at(1.0, warmup=0.1) == pytest.approx(0.001)
    assert rate_at(0.0, warmup=0.0) == pytest.approx(1.0)


def test_only_matrices_decay() -> None:
    groups = make_optimiser(nn.Linear(2, 3), "adamw", 1e-3, (0.9, 0.98), 0.1).param_groups
    assert [(group["weight_decay"], [p.ndim for p in group["params"]]) for group in groups] == [(0.1, [2]), (0.0, [1])]


def test_average_by_construction() -> None:
    model = Number()
    average = Average(model, decay=0.5)
    for step, value in ((1, 1.0), (100, 3.0)):
        with torch.no_grad():
            model.value.fill_(value)
        average.update(model, step)
    early = (1 + 1) / (10 + 1)
    assert average.model.value.item() == pytest.approx(0.5 * (1 - early) + 0.5 * 3.0)


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


def kill_at(loop: Loop[Any, Any], step: int) -> None:
    """Run a training and kill it before a step."""
    take = loop.step

    def step_or_die(batch: Target, done: float) -> None:
        if loop.state.step == step:
            raise KilledError
        take(batch, done)

    loop.step = step_or_die  # type: ignore[method-assign]
    with pytest.raises(KilledError):
        loop.run()


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
