"""Options that all trainings share, and lightning's Fabric for them: devices, precision and processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import torch
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.core.plural import count

if TYPE_CHECKING:
    from lightning.fabric import Fabric


@dataclass(frozen=True)
class TrainerOptions:
    """Options of any training; the pages of conf/trainer explain each key.

    >>> TrainerOptions(epochs=3, accelerator="cpu").device
    'cpu'
    """

    epochs: int = field(default=60, metadata={"min": 1})
    min_steps: int = field(default=0, metadata={"min": 0})
    minutes: float | None = field(default=None, metadata={"min": 0.1})
    frozen_layers: int = field(default=0, metadata={"min": 0})
    frozen_steps: int = field(default=0, metadata={"min": 0})
    optimiser: Literal["adamw", "nt_asgd"] = "adamw"
    learning_rate: float = field(default=3e-3, metadata={"min": 0.0})
    warmup: float = field(default=0.1, metadata={"min": 0.0, "max": 1.0})
    betas: tuple[float, float] = field(default=(0.9, 0.98), metadata={"min": 0.0, "max": 0.9999})
    weight_decay: float = field(default=1e-2, metadata={"min": 0.0})
    gradient_clip: float = field(default=5.0, metadata={"min": 0.0})
    average: float = field(default=0.999, metadata={"min": 0.0, "max": 1.0})
    nonmonotone: int = field(default=5, metadata={"min": 1})
    keep: Literal["best", "last"] = "best"
    patience: int | Literal["auto"] | None = field(default=None, metadata={"min": 1})
    nonfinite_patience: int = field(default=5, metadata={"min": 1})
    checkpoint_steps: int = field(default=500, metadata={"min": 1})
    seed: int = field(default=0, metadata={"min": 0, "max": 2**24 - 1})
    precision: Literal["auto", "32", "bf16", "16"] = "auto"
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = field(default=1, metadata={"min": 1})
    num_nodes: int = field(default=1, metadata={"min": 1})
    strategy: Literal["auto", "ddp"] = "auto"

    @property
    def device(self) -> str:
        """Return the device on which the trained model is evaluated: "auto" or "cpu"."""
        return "cpu" if self.accelerator == "cpu" else "auto"


def make_fabric(options: TrainerOptions, folder: Path) -> Fabric:
    """Return lightning's Fabric for the options, launched, with TensorBoard events in `folder`.

    >>> fabric = make_fabric(TrainerOptions(accelerator="cpu"), Path("outputs/mine"))  # doctest: +SKIP

    Raises:
        UserError: more GPUs are asked for than there are.
    """
    from lightning.fabric import Fabric

    from speechrnn.training.events import EventLogger

    found = torch.cuda.device_count()
    accelerator = "cuda" if options.accelerator != "cpu" and found else "cpu"  # torch has no CTC loss on MPS
    if options.accelerator == "cuda" and found < options.devices:
        raise UserError(
            f"trainer.devices={options.devices} with accelerator=cuda, but this machine has {count(found, 'GPU')}."
        )
    fabric = Fabric(
        accelerator=accelerator,
        devices=options.devices,
        num_nodes=options.num_nodes,
        strategy=options.strategy,
        precision=precision(options),
        loggers=EventLogger(folder),
    )
    fabric.launch()
    return fabric


def precision(options: TrainerOptions) -> Literal["32-true", "bf16-mixed", "16-mixed"]:
    """Return Fabric's name of the precision: the chosen one, or with "auto" the fastest that loses no accuracy.

    That is float32 on a CPU: on some processors with bfloat16 instructions oneDNN's bfloat16 LSTM is slower, on others
    twice as fast (docs/results.md).
    """
    if options.precision == "auto":
        cuda = options.accelerator in ("auto", "cuda") and torch.cuda.is_available()
        if not cuda:
            return "32-true"
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    widths: dict[str, Literal["32-true", "bf16-mixed", "16-mixed"]]
    widths = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}
    return widths[options.precision]


def sum_over_processes(fabric: Fabric, values: Tensor) -> Tensor:
    """Return the element-wise sum of a tensor over all processes."""
    return cast(Tensor, fabric.all_reduce(values, reduce_op="sum")) if fabric.world_size > 1 else values
