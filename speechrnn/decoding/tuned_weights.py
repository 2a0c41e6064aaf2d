"""What tuning found for a model: weights and calibration, kept in decoding.json beside its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from speechrnn.core.config import build
from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write
from speechrnn.decoding.confidence import Calibration
from speechrnn.decoding.fusion import Weights

FILE = "decoding.json"


@dataclass(frozen=True)
class TunedDecoding:
    """What suits one system.

    Attributes:
        figures: what it came to on the dev part, for whoever finds the file.
    """

    weights: Weights = field(default_factory=Weights)
    calibration: Calibration = field(default_factory=Calibration)
    figures: dict[str, float] = field(default_factory=dict)


def read_tuned(folder: str | Path) -> dict[str, TunedDecoding]:
    """What lies in an acoustic model's directory, by system; nothing where nothing was tuned.

    Raises:
        UserError: the file is damaged.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return {}
    try:
        systems = json.loads(path.read_text(encoding="utf-8"))
        return {name: build(TunedDecoding, one, name) for name, one in systems.items()}
    except (OSError, ValueError, AttributeError, UserError) as error:
        raise UserError(f"{path} is damaged ({error}); remove it, or run `speechrnn tune` again.") from error


def write_tuned(folder: str | Path, tuned: Mapping[str, TunedDecoding]) -> None:
    """Writes them all, in place of what lay there."""
    systems: dict[str, Any] = {name: asdict(one) for name, one in tuned.items()}
    with atomic_write(Path(folder) / FILE) as file:
        json.dump(systems, file, indent=2)
        file.write("\n")
