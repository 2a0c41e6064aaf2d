"""Tests of lightning's Fabric for a training: the precision, the devices, and sums over processes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from speechrnn.core.errors import UserError
from speechrnn.training.fabric import TrainerOptions, make_fabric, precision, sum_over_processes

CPU = TrainerOptions(accelerator="cpu")


def test_precision_on_a_cpu() -> None:
    assert precision(CPU) == "32-true"
    assert precision(replace(CPU, precision="bf16")) == "bf16-mixed"
    assert precision(replace(CPU, precision="16")) == "16-mixed"


@pytest.mark.parametrize(("bf16", "expected"), [(True, "bf16-mixed"), (False, "16-mixed")])
def test_precision_on_a_gpu(monkeypatch: pytest.MonkeyPatch, bf16: bool, expected: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    assert precision(TrainerOptions()) == expected
    assert precision(CPU) == "32-true"  # the CPU was asked for


def test_more_gpus_than_there_are_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UserError, match=r"trainer\.devices=2.*1 GPU\."):
        make_fabric(TrainerOptions(accelerator="cuda", devices=2), tmp_path)


def test_a_training_without_gpus_is_on_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    fabric = make_fabric(TrainerOptions(), tmp_path)
    assert fabric.device.type == "cpu" and fabric.world_size == 1
    assert [CPU.device, TrainerOptions().device] == ["cpu", "auto"]


def test_the_sum_over_processes() -> None:
    values = torch.tensor([1.0, 2.0])
    alone: Any = SimpleNamespace(world_size=1)
    assert sum_over_processes(alone, values) is values
    two: Any = SimpleNamespace(world_size=2, all_reduce=lambda tensor, reduce_op: 2 * tensor)
    assert sum_over_processes(two, values).tolist() == [2.0, 4.0]
