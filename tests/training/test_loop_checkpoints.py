"""Checkpoints of the training loop: of another run, damaged, hostile, and on a full disk."""

from __future__ import annotations

import math
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.training_task import PLAIN, Task, kill_at, make_loop

from speechrnn.core.errors import UserError
from speechrnn.training.checkpoint import read_checkpoint


def test_a_checkpoint_of_another_configuration(tmp_path: Path) -> None:
    make_loop(Task(), tmp_path, layers=3).run()
    with pytest.raises(UserError, match=r"another configuration \(layers was 3, is 4\).*restart=true"):
        make_loop(Task(), tmp_path, layers=4).run()


def test_a_checkpoint_that_does_not_record_its_data(tmp_path: Path) -> None:
    make_loop(Task(), tmp_path, layers=3).run()
    with pytest.raises(UserError, match=r"last\.ckpt .*older version.*training data.*restart=true"):
        make_loop(Task(), tmp_path, PLAIN, **{"layers": 3, "training data": 64 * "0"}).run()


def test_a_damaged_checkpoint_without_another(tmp_path: Path) -> None:
    make_loop(Task(), tmp_path).run()
    path = tmp_path / "checkpoints" / "last.ckpt"
    path.write_bytes(path.read_bytes()[:100])
    for other in (b"", path.read_bytes()):
        (path.parent / "best.ckpt").write_bytes(other)
        with pytest.raises(UserError, match=r"last\.ckpt is damaged.*restart=true"):
            make_loop(Task(), tmp_path).run()
    (path.parent / "best.ckpt").unlink()
    with pytest.raises(UserError, match=r"last\.ckpt is damaged.*restart=true"):
        make_loop(Task(), tmp_path).run()


def flip(path: Path, place: int, bit: int = 0) -> None:
    changed = bytearray(path.read_bytes())
    changed[place] ^= 1 << bit
    path.write_bytes(changed)


@pytest.mark.parametrize("damage", ["weights", "optimiser", "torn", "zeros", "empty"])
def test_where_the_newest_checkpoint_is_damaged_the_one_before_goes_on_with_the_same_bits(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    expected = make_loop(Task(), tmp_path / "whole").run().value
    kill_at(make_loop(Task(), tmp_path / "killed"), 10)  # in the third epoch
    path = tmp_path / "killed" / "checkpoints" / "last.ckpt"
    whole = path.read_bytes()
    if damage in ("weights", "optimiser"):
        saved = torch.load(path, weights_only=True)
        tensor = saved["model"]["value"] if damage == "weights" else saved["optimiser"]["state"][0]["exp_avg"]
        flip(path, whole.index(tensor.numpy().tobytes()), 6)
    else:
        path.write_bytes({"torn": whole[: len(whole) // 2], "zeros": bytes(len(whole)), "empty": b""}[damage])
    task = Task()
    assert torch.equal(make_loop(task, tmp_path / "killed").run().value, expected)
    assert task.seen[0] == (2, 0) and "last.ckpt is damaged; going on from best.ckpt" in caplog.text


def test_a_damaged_best_checkpoint_says_what_is_left_without_it(tmp_path: Path) -> None:
    make_loop(Task(), tmp_path).run()
    path = tmp_path / "checkpoints" / "best.ckpt"
    saved = torch.load(path, weights_only=True)
    flip(path, path.read_bytes().index(saved["average"]["value"].numpy().tobytes()))
    with pytest.raises(UserError, match=r"best\.ckpt is damaged.*the last epoch.*restart=true"):
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
    if name == "last.ckpt":
        (path.parent / "best.ckpt").unlink()  # which would be gone on from
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


def test_a_flipped_bit_in_a_checkpoint_is_a_sentence_or_changes_nothing(tmp_path: Path) -> None:
    loop = make_loop(Task(), tmp_path)
    loop.run()
    path = tmp_path / "checkpoints" / "last.ckpt"
    before = path.read_bytes()
    saved = repr(torch.load(path, weights_only=True))
    random = np.random.default_rng(0)
    refused = 0
    for place in random.integers(0, len(before), 300):
        flip(path, place, int(random.integers(8)))
        try:
            contents = read_checkpoint(path, loop.fingerprint, torch.device("cpu"))
        except UserError as error:
            assert "last.ckpt is damaged" in str(error)
            refused += 1
        else:
            assert repr({**contents, "state": vars(contents["state"])}) == saved
        path.write_bytes(before)
    assert refused > 100


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
