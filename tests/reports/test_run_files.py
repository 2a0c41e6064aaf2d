"""Parsing of the files of a run's folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from speechrnn.core.errors import UserError
from speechrnn.reports.run_files import (
    ShortUtterance,
    TrainingSummary,
    keeps_best_epoch,
    parse,
    read_config,
    read_training,
    select_group,
)

MODEL = Path("run") / "model.json"


@dataclass(frozen=True)
class Inner:
    size: int = 0


@dataclass(frozen=True)
class Outer:
    name: str = ""
    inner: Inner = field(default_factory=Inner)
    several: tuple[Inner, ...] = ()
    by_name: dict[str, Inner] = field(default_factory=dict)


def test_keys_of_later_versions_are_left_out_at_any_depth() -> None:
    value = {
        "name": "x",
        "new": 1,
        "inner": {"size": 2, "new": 1},
        "several": [{"size": 3, "new": 1}],
        "by_name": {"new": {"size": 4, "new": 1}},
    }
    assert parse(Outer, value, MODEL) == Outer("x", Inner(2), (Inner(3),), by_name={"new": Inner(4)})


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ({"inner": {"size": "large"}}, "group.inner.size"),
        ({"several": [{"size": 1}, {"size": []}]}, "group.several"),
        ({"by_name": {"a": {"size": None}}}, "group.by_name"),
        ({"name": {}}, "group.name"),
        ([], "group"),
    ],
)
def test_a_value_of_another_type_names_file_and_key(value: object, key: str) -> None:
    with pytest.raises(UserError) as error:
        parse(Outer, value, MODEL, key="group")
    message = str(error.value)
    assert str(MODEL) in message and key in message and "run the stage" in message


def test_training_summary_and_versions() -> None:
    description = {
        "training": {
            "epochs": 3,
            "best_epoch": 2,
            "seconds": {"step": 1.5},
            "history": [{"epoch": 1, "dev_wer": None}],
            "left_out": [{"id": "u", "frames": 4, "needed": 9}],
        },
        "versions": {"torch": 2.11},
    }
    training, versions = read_training(MODEL, description)
    assert training.left_out == (ShortUtterance("u", 4, 9),)
    assert (training.epochs, training.best_epoch, training.seconds) == (3, 2, {"step": 1.5})
    assert training.history[0]["dev_wer"] is None
    assert versions == {"torch": "2.11"}


def test_a_model_without_a_training_gets_an_empty_summary() -> None:
    assert read_training(MODEL, {}) == (TrainingSummary(), {})


def test_a_group_that_is_none_names_file_and_key() -> None:
    assert select_group({"training": None}, "training", MODEL) == {}
    with pytest.raises(UserError, match="training") as error:
        select_group({"training": [1]}, "training", MODEL)
    assert str(MODEL) in str(error.value)


@pytest.mark.parametrize(
    ("config", "keeps"),
    [("trainer: {keep: last}", False), ("trainer: {keep: best}", True), ("trainer: {}", True), ("", True), ("{", True)],
)
def test_whether_a_run_keeps_its_best_epoch(config: str, keeps: bool) -> None:
    assert keeps_best_epoch(config) is keeps


def test_the_configuration_is_read_as_it_is(tmp_path: Path) -> None:
    assert read_config(tmp_path) == ""
    (tmp_path / "config.yaml").write_bytes("name: käse # \xff".encode("latin-1"))
    assert read_config(tmp_path).startswith("name: k")
