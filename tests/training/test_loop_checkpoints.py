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
from helpers.training_task import PLAIN, Task, make_loop

from speechrnn.core.errors import UserError


def test_a_checkpoint_of_another_configuration(tmp_path: Path) -> None:
    make_loop(Task(), tmp_path, layers=3).run()
    with pytest.raises(UserError, match=r"another configuration \(layers was 3, is 4\).*restart=true"):
        make_loop(Task(), tmp_path, layers=4).run()


def test_a_checkpoint_that_does_not_record_its_data(tmp_path: Path) -> None:
    make_loop(Task(), tmp_path, layers=3).run()
    with pytest.raises(UserError, match=r"last\.ckpt .*older version.*training data.*restart=true"):
        make_loop(Task(), tmp_path, PLAIN, **{"layers": 3, "training data": 64 * "0"}).run()


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
