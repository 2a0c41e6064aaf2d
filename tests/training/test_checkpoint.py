"""A checkpoint that is damaged, of another training or of an older version is refused in one sentence."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from speechrnn.core.errors import UserError
from speechrnn.training.checkpoint import KEYS, describe_changes, read_checkpoint, remove_other
from speechrnn.training.task import State

FINGERPRINT = {"layers": 3, "training data": "0" * 64}
CPU = torch.device("cpu")


def saved(path: Path, **changes: Any) -> Path:
    contents: dict[str, Any] = dict.fromkeys(KEYS)
    weights = {"weight": torch.ones(2)}
    contents |= {"model": weights, "average": weights, "state": vars(State()), "fingerprint": FINGERPRINT, **changes}
    torch.save(contents, path)
    return path


def test_a_checkpoint_comes_back_with_its_state(tmp_path: Path) -> None:
    contents = read_checkpoint(saved(tmp_path / "a.pt", state={**vars(State()), "epoch": 4}), FINGERPRINT, CPU)
    assert contents["state"].epoch == 4 and contents["model"]["weight"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"fingerprint": {**FINGERPRINT, "layers": 4}}, "layers was 4, is 3"),
        ({"fingerprint": {**FINGERPRINT, "training data": "1" * 64}}, "the training data has changed"),
        ({"fingerprint": {"layers": 3}}, "older version"),
        ({"fingerprint": None}, "damaged"),
        ({"model": {"weight": torch.tensor([math.nan])}}, "weight of model"),
        ({"average": {"weight": 1}}, "average"),
        ({"state": {**vars(State()), "epoch": -1}}, "epoch=-1"),
        ({"state": {"unheard_of": 1}}, "state"),
    ],
)
def test_a_wrong_checkpoint_is_refused(tmp_path: Path, changes: dict[str, Any], part: str) -> None:
    path = saved(tmp_path / "a.pt", **changes)
    with pytest.raises(UserError) as error:
        read_checkpoint(path, FINGERPRINT, CPU)
    assert part in str(error.value) and str(path) in str(error.value) and "restart=true" in str(error.value)


def test_at_most_three_changes_are_named() -> None:
    assert describe_changes({}, dict.fromkeys("abcd", 1)) == "a was None, is 1; b was None, is 1; c was None, is 1"


def test_a_checkpoint_stands_for_the_defaults_of_options_that_its_version_did_not_have(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt")
    defaults = {"narrow": 0.0, "layers": 2}
    contents = read_checkpoint(path, {**FINGERPRINT, "narrow": 0.0}, CPU, defaults=defaults)
    assert contents["state"].epoch == 0
    with pytest.raises(UserError, match=r"narrow was 0\.0, is 0\.1"):
        read_checkpoint(path, {**FINGERPRINT, "narrow": 0.1}, CPU, defaults=defaults)
    with pytest.raises(UserError, match="older version"):
        read_checkpoint(path, {**FINGERPRINT, "initial weights": "0" * 64}, CPU, defaults=defaults)


def test_checkpoints_of_another_training_are_removed_and_no_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    paths = [saved(tmp_path / name) for name in ("last.ckpt", "best.ckpt")]
    remove_other(tmp_path, {**FINGERPRINT, "new": 1}, {"new": 1})
    assert all(path.exists() for path in paths) and caplog.text == ""
    remove_other(tmp_path, {**FINGERPRINT, "layers": 4}, {})
    assert not any(path.exists() for path in paths)
    assert "The language model of this run is trained anew: layers was 3, is 4." in caplog.text
    remove_other(tmp_path, FINGERPRINT, {})


def test_a_damaged_checkpoint_is_of_the_training_that_its_neighbour_is_of(tmp_path: Path) -> None:
    last, best = (saved(tmp_path / name) for name in ("last.ckpt", "best.ckpt"))
    last.write_bytes(last.read_bytes()[:500])
    remove_other(tmp_path, FINGERPRINT, {})
    assert last.exists() and best.exists()
    remove_other(tmp_path, {**FINGERPRINT, "layers": 4}, {})
    assert not last.exists() and not best.exists()
