"""Model directories as older versions wrote them, and as somebody changed them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from speechrnn.audio.features import FeatureOptions
from speechrnn.core.model_names import DESCRIPTION
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions, save_acoustic
from speechrnn.nn.checkpoint import DIGESTS
from speechrnn.text.tokenizers import CharTokenizer


def save_small(folder: Path) -> Path:
    """Write a small acoustic model as older versions wrote it, without digests; return its directory."""
    torch.manual_seed(0)
    tokenizer = CharTokenizer.build(["AB C"])
    options = AcousticOptions(layers=1, units=8, channels=4, subsampling="stack")
    save_acoustic(
        folder, AcousticModel(len(tokenizer), FeatureOptions(bins=20), options), tokenizer, training={"epochs": 1}
    )
    return remove_digests(folder)


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


def change_field(folder: Path, path: str, value: Any) -> None:
    """Set a value of the description, by the path of its keys."""
    description = json.loads((folder / DESCRIPTION).read_text())
    group = description
    *parents, last = path.split("/")
    for key in parents:
        group = group[key]
    group[last] = value
    (folder / DESCRIPTION).write_text(json.dumps(description))
