"""Tests of the interface of trainings: the state is saved whole, and both kinds of training have all its members."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

from speechrnn.training.acoustic import AcousticTask
from speechrnn.training.language import LanguageTask
from speechrnn.training.task import State, Task


def test_a_state_survives_json() -> None:
    state = State(epoch=2, step=40, history=[{"loss": 0.5}], best=0.25, plan={"epochs": 3.0})
    assert State(**json.loads(json.dumps(asdict(state)))) == state


def test_states_share_nothing() -> None:
    first = State()
    first.history.append({"loss": 1.0})
    first.seconds["step"] += 1.0
    first.plan["epochs"] = 2.0
    assert State().history == [] and State().seconds["step"] == 0.0 and State().plan == {}


def test_before_the_first_epoch_nothing_is_the_best() -> None:
    assert State().best == math.inf and State().best_epoch < 0


def test_each_kind_of_training_has_the_methods_of_a_task() -> None:
    methods = {name for name, member in vars(Task).items() if callable(member) and not name.startswith("_")}
    assert {"loss", "evaluate", "epoch", "largest_batch"} <= methods
    for kind in (AcousticTask, LanguageTask):
        assert [name for name in methods if not callable(getattr(kind, name, None))] == []
        assert kind.loss is not Task.loss
