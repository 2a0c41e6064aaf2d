"""Model directories as older versions wrote them, and as somebody changed them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from speechrnn.nn.checkpoint import DESCRIPTION, DIGESTS


def change_description(folder: Path, **values: Any) -> None:
    """Set keys of a model's description, and remove its digests, which would tell that something was changed."""
    path = folder / DESCRIPTION
    description = {**json.loads(path.read_text(encoding="utf-8")), **values}
    description.pop(DIGESTS, None)
    path.write_text(json.dumps(description), encoding="utf-8")


def remove_digests(folder: Path) -> Path:
    """Make a model directory of it as older versions wrote them; return it."""
    change_description(folder)
    return folder
