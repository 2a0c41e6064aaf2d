"""The stages of an experiment run in their own order."""

from __future__ import annotations

import pytest

from speechrnn.experiments import stages
from speechrnn.experiments.stages import run_stages


@pytest.mark.parametrize(("first", "ran"), [(True, ["prepare", "train", "report"]), (False, ["train"])])
def test_other_processes_of_a_training_only_train(first: bool, ran: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "is_first_process", lambda: first)
    done: list[str] = []

    def stage(name: str) -> None:
        done.append(name)

    names = ("prepare", "train", "decode", "report")
    run_stages({"report", "train", "prepare"}, {name: lambda name=name: stage(name) for name in names})  # type: ignore[misc]
    assert done == ran
